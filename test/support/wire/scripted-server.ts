import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Codec, Encoded } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import type { Envelope } from '../../../lib/protocol/envelope.js';
import { patience } from '../patience.js';

/** Longest real time that a test waits for the client; reached only when the test fails. */
const PATIENCE_MS = patience(10_000);

/** What a refused upgrade, or the question of P18, is answered with. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** A message as a test writes it: whatever the protocol allows, and what it does not. */
export type Script = Envelope & Record<string, unknown>;

/**
 * A server that does nothing by itself: a test accepts its connections and plays the protocol, command by command.
 * Sockets are real, time is the test's.
 *
 * @example
 * const server = await ScriptedServer.start();
 * const connection = await server.accept();
 * const hello = await connection.expectCommand('hello');
 */
export class ScriptedServer {
  /** Answers upgrades that a test wants refused; `undefined` accepts. */
  refuse: ((request: IncomingMessage) => HttpAnswer | undefined) | undefined;
  /** Answers `GET {path}`. */
  answer: (request: IncomingMessage) => HttpAnswer = () => ({ status: 426 });
  /** Plain requests so far. */
  readonly requests: IncomingMessage[] = [];
  /** Upgrades so far, refused ones included. */
  upgrades = 0;
  private readonly waiting: ScriptedConnection[] = [];
  private readonly all = new Set<ScriptedConnection>();

  private constructor(
    private readonly http: Server,
    private readonly codec: Codec,
  ) {
    const sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has(codec.subprotocol) ? codec.subprotocol : false),
    });
    http.on('request', (request, response) => {
      this.requests.push(request);
      const { status, headers, body } = this.answer(request);
      response.writeHead(status, headers).end(body);
    });
    http.on('upgrade', (request, socket, head) => {
      this.upgrades++;
      const refusal = this.refuse?.(request);
      if (refusal !== undefined) {
        socket.end(`HTTP/1.1 ${refusal.status} Refused\r\nConnection: close\r\n\r\n`);
        return;
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        const connection = new ScriptedConnection(webSocket, request, this.codec);
        this.all.add(connection);
        this.waiting.push(connection);
      });
    });
  }

  static async start(codec: Codec = jsonCodec): Promise<ScriptedServer> {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return new ScriptedServer(http, codec);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}/realtime`;
  }

  /** The next connection that nobody took. */
  async accept(): Promise<ScriptedConnection> {
    await until(() => this.waiting.length > 0, 'a connection');
    return this.waiting.shift() as ScriptedConnection;
  }

  async stop(): Promise<void> {
    for (const connection of this.all) connection.terminate();
    this.http.closeAllConnections();
    await new Promise<void>((resolve) => this.http.close(() => resolve()));
  }
}

/** One accepted WebSocket, played by hand. */
export class ScriptedConnection {
  /** Subprotocols as offered, credentials included. */
  readonly protocols: readonly string[];
  /** Frames as they came. */
  readonly frames: Encoded[] = [];
  /** How the client, or the network, ended it. */
  ended: { readonly code: number; readonly reason: string } | undefined;
  private readonly commands: Script[] = [];
  private readonly pongs = new Set<string>();
  private syncs = 0;

  constructor(
    private readonly socket: WebSocket,
    readonly request: IncomingMessage,
    private readonly codec: Codec,
  ) {
    this.protocols = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    socket.on('message', (data: RawData, binary: boolean) =>
      this.receive(binary ? (data as Buffer) : (data as Buffer).toString()),
    );
    socket.on('close', (code, reason) => (this.ended = { code, reason: String(reason) }));
    socket.on('error', () => undefined);
  }

  /** Commands that no test asked for yet. */
  get unread(): readonly Script[] {
    return this.commands;
  }

  /** The next command, which has to be of this type. */
  async expectCommand(type: string): Promise<Script & { id: string }> {
    await until(() => this.commands.length > 0, `the command ${type}`);
    const command = this.commands.shift() as Script;
    if (command.type !== type) throw new Error(`Expected ${type}, got ${JSON.stringify(command)}`);
    return command as Script & { id: string };
  }

  /** Takes `hello` and answers it. */
  async welcome(payload: Record<string, unknown> = {}): Promise<Script & { id: string }> {
    const hello = await this.expectCommand('hello');
    this.send({ type: 'welcome', ref: hello.id, payload: { ...WELCOME, ...payload } });
    return hello;
  }

  /** Takes `subscribe` and answers it; by default with an empty log. */
  async subscribed(result: Record<string, unknown> = {}): Promise<Script & { id: string }> {
    const command = await this.expectCommand('subscribe');
    this.reply(command, { position: { epoch: 'e1', seq: 0 }, recovery: 'new', ...result });
    return command;
  }

  /** Sends messages in one frame. */
  send(...messages: Script[]): void {
    const encoded = messages.map((message) => this.codec.encode(message));
    if (this.codec.binary) this.socket.send(Buffer.concat(encoded as Uint8Array[]));
    else this.socket.send(encoded.join('\n'));
  }

  /** Sends a frame as it stands. */
  sendRaw(frame: string | Uint8Array): void {
    this.socket.send(frame);
  }

  reply(to: { id: string }, payload: unknown): void {
    this.send({ type: 'reply', ref: to.id, payload });
  }

  error(to: { id: string }, code: string, more: Record<string, unknown> = {}): void {
    this.send({ type: 'error', ref: to.id, payload: { code, message: code, ...more } });
  }

  /** Resolves when the client has read everything that was sent before. */
  async sync(): Promise<void> {
    const id = `sync-${++this.syncs}`;
    this.send({ type: 'ping', id });
    await until(() => this.pongs.has(id), 'a pong');
  }

  /** The types of the commands that came and were not read, once everything that was sent before has been. */
  async unreadTypes(): Promise<string[]> {
    await this.sync();
    return this.unread.map(({ type }) => type);
  }

  /** Resolves when everything that the client's socket was given before is here: its pong of RFC 6455 comes last. */
  async settle(): Promise<void> {
    const pong = new Promise<void>((resolve) => this.socket.once('pong', () => resolve()));
    this.socket.ping();
    await pong;
  }

  close(code: number, reason = ''): void {
    this.socket.close(code, reason);
  }

  /** Ends without a close frame: the client sees 1006. */
  terminate(): void {
    this.socket.terminate();
  }

  private receive(frame: Encoded): void {
    this.frames.push(frame);
    for (const command of this.codec.decode(frame) as Script[]) {
      if (command.type === 'pong' && command.ref?.startsWith('sync-') === true) this.pongs.add(command.ref);
      else this.commands.push(command);
    }
  }
}

/** A welcome with every field. */
export const WELCOME = {
  version: 1,
  session: 'ticket-1',
  user: 'u1',
  features: [],
  heartbeat: { intervalMs: 25_000, timeoutMs: 10_000 },
  limits: {
    maxMessageBytes: 65_536,
    maxFrameBytes: 262_144,
    maxChannels: 128,
    maxEnvelopesPerFrame: 256,
    ratePerSecond: 50,
    dedupeMs: 300_000,
  },
  retry: { baseMs: 1_000, maxMs: 20_000, firstSpreadMs: 2_000, stableMs: 10_000 },
  serverTime: 1_767_225_600_000,
};

/** An event message of `channel` in epoch `e1`. */
export function eventMessage(channel: string, seq: number, more: Partial<Script> = {}): Script {
  return {
    type: 'event',
    channel,
    id: `event-${seq}`,
    ts: 1,
    epoch: 'e1',
    seq,
    event: 'tick',
    payload: { n: seq },
    ...more,
  };
}

/** Waits for a condition in turns of the event loop, not in time. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
