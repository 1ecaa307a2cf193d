import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A request that came. */
export interface ReceivedWebhook {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** An application that takes webhooks, over HTTP on this host. */
export class WebhookReceiver {
  readonly received: ReceivedWebhook[] = [];
  /** Connections that were made. */
  connections = 0;
  /** Answers instead of 204. */
  answer: ((res: ServerResponse, request: ReceivedWebhook) => void) | undefined;
  private server: Server | undefined;
  private port = 0;

  /** @param tls its key and certificate. Default: plain HTTP. */
  constructor(private readonly tls?: { readonly key: string; readonly cert: string }) {}

  /** Listens; after {@link stop}, on the same port. */
  async start(): Promise<this> {
    const { tls } = this;
    const server = tls === undefined ? createServer() : createTlsServer(tls);
    server.on('connection', () => this.connections++);
    server.on('request', (req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const { method = '', url: path = '', headers } = req;
        const request = { method, path, headers, body: Buffer.concat(chunks).toString() };
        this.received.push(request);
        if (this.answer === undefined) res.writeHead(204).end();
        else this.answer(res, request);
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  /** Is away: connections are refused. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  get url(): string {
    return `${this.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}/hooks`;
  }

  /** Data of the requests, in their order. */
  get data(): readonly unknown[] {
    return this.received.map(({ body }) => (JSON.parse(body) as { data: unknown }).data);
  }
}
