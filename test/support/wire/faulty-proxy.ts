import {
  createServer,
  request,
  type ClientRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

/**
 * What becomes of one request. `lose`: the server's answer never comes · `cut-answer`: its second half never comes · `cut-body`: the
 * server gets half of the body, and the client no answer · `refuse`: 502, and the server hears nothing · `twice`: the server gets
 * it two times, and the client the second answer.
 */
export type RequestFault = 'none' | 'lose' | 'cut-answer' | 'cut-body' | 'refuse' | 'twice';

/** An HTTP proxy as the ones that break WebSocket, streams and requests. What it does may be changed at any time. */
export class FaultyProxy {
  /** Refuses upgrades with 502. */
  blocksUpgrades = false;
  /** Keeps every answer until it is complete, which an event stream never is. */
  gathersAnswers = false;
  /** Answers everything with 502, as without a server behind it. */
  isServerAway = false;
  /** Decides about each `POST` of a session that is open. */
  fault: () => RequestFault = () => 'none';
  /** Upgrades that were passed on. */
  upgrades = 0;
  private readonly tunnels = new Set<Socket>();
  private readonly streams = new Set<ServerResponse>();
  private readonly all = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (socket) => {
      this.all.add(socket);
      socket.on('close', () => this.all.delete(socket));
      socket.on('error', () => undefined);
    });
    server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) =>
      this.upgrade(req, socket, head),
    );
    server.on('request', (req, res) => void this.forward(req, res));
  }

  /** @param target Port of the server. */
  static async start(target: number): Promise<FaultyProxy> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FaultyProxy(server, target);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Ends what is open of upgraded connections. */
  cutUpgrades(): void {
    for (const socket of this.tunnels) socket.destroy();
  }

  /** Ends the event streams that are open. */
  cutStreams(): void {
    for (const response of this.streams) response.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of [...this.all, ...this.tunnels]) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private upgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.blocksUpgrades || this.isServerAway) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    this.upgrades++;
    const there = connect(this.target, '127.0.0.1');
    const lines = req.rawHeaders.flatMap((part, index, parts) =>
      index % 2 === 0 ? [`${part}: ${parts[index + 1] ?? ''}`] : [],
    );
    there.write(`${req.method} ${req.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    there.write(head);
    socket.pipe(there);
    there.pipe(socket);
    for (const end of [socket, there]) {
      this.tunnels.add(end);
      end.on('error', () => undefined);
      end.on('close', () => {
        this.tunnels.delete(end);
        socket.destroy();
        there.destroy();
      });
    }
  }

  private async forward(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of req) parts.push(part as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(parts);
    const fault = 'realtime-session' in req.headers ? this.fault() : 'none';
    if (this.isServerAway || fault === 'refuse') {
      res.writeHead(502).end('<h1>Bad Gateway</h1>');
      return;
    }
    if (fault === 'twice') await this.pass(req, res, body).catch(() => undefined);
    if (fault === 'cut-body') {
      const half = this.ask(req, () => undefined);
      half.flushHeaders();
      half.write(body.subarray(0, Math.floor(body.length / 2)), () => half.destroy());
      res.destroy();
      return;
    }
    const isStream = String(req.headers.accept).includes('text/event-stream');
    if (isStream && fault === 'none') return this.stream(req, res, body);
    const answer = await this.pass(req, res, body).catch(() => undefined);
    if (answer === undefined || fault === 'lose') {
      res.destroy();
      return;
    }
    const {
      'transfer-encoding': _coding,
      connection: _connection,
      upgrade: _upgrade,
      ...headers
    } = answer.headers;
    res.writeHead(answer.status, { ...headers, 'content-length': answer.body.length });
    if (fault === 'cut-answer') {
      res.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () => res.destroy());
      if (answer.body.length < 2) res.destroy();
      return;
    }
    res.end(answer.body);
  }

  /** Passes a request on, and gathers the answer. */
  private pass(
    req: IncomingMessage,
    res: ServerResponse,
    body: Buffer,
  ): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const sent = this.ask(req, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(parts) }),
        );
      });
      sent.on('error', reject);
      res.once('close', () => sent.destroy());
      sent.end(body);
    });
  }

  private stream(req: IncomingMessage, res: ServerResponse, body: Buffer): void {
    const sent = this.ask(req, (answer) => {
      if (this.gathersAnswers) {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', () => res.destroy());
        answer.on('end', () =>
          res.writeHead(answer.statusCode ?? 502, answer.headers).end(Buffer.concat(parts)),
        );
        return;
      }
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      res.flushHeaders();
      this.streams.add(res);
      answer.on('error', () => res.destroy());
      answer.pipe(res);
    });
    sent.on('error', () => res.destroy());
    res.on('close', () => {
      this.streams.delete(res);
      sent.destroy();
    });
    sent.end(body);
  }

  private ask(
    { method, url, headers }: IncomingMessage,
    onAnswer: (answer: IncomingMessage) => void,
  ): ClientRequest {
    const sent = request(
      { host: '127.0.0.1', port: this.target, method, path: url, headers, agent: false },
      onAnswer,
    );
    sent.on('error', () => undefined);
    return sent;
  }
}
