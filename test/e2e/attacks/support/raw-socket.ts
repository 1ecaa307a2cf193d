import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { patience } from '../../../support/patience.js';

/** Reached only when a test fails: whatever an attack waits for. */
const TIMEOUT_MS = patience(20_000);

/** One answer, as it stands on the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; the first of a name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One frame of the server, or what its close frame says. */
export interface RawFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Where a socket comes from and goes to. */
export interface RawSocketOptions {
  readonly port: number;
  /** Every attacker has an address of its own, so that limits of an address concern it alone. */
  readonly localAddress: string;
  /** PEM of the one certificate that is trusted; with it the socket speaks TLS. */
  readonly ca?: string | undefined;
}

/** A TCP or TLS connection that sends the bytes that a test has, and reads HTTP and WebSocket without a library. */
export class RawSocket {
  private bytes = Buffer.alloc(0);
  private ended = false;
  private wake: () => void = () => undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (data: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.wake();
    });
    socket.on('error', () => undefined);
    socket.on('end', () => this.onEnd());
    socket.on('close', () => this.onEnd());
  }

  static open({ port, localAddress, ca }: RawSocketOptions): Promise<RawSocket> {
    return new Promise((resolve, reject) => {
      const target = { port, host: '127.0.0.1', localAddress };
      const socket: Socket =
        ca === undefined
          ? connect(target, () => resolve(new RawSocket(socket)))
          : connectSecurely({ ...target, ca, servername: 'localhost' }, () => resolve(new RawSocket(socket)));
      socket.setNoDelay();
      socket.once('error', reject);
    });
  }

  /** Whether the server has ended the connection. */
  get isEnded(): boolean {
    return this.ended;
  }

  write(bytes: string | Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Waits for the server to end the connection. */
  async expectEnd(): Promise<void> {
    await this.waitFor(() => this.ended, 'the end of the connection');
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<string> {
    await this.expectEnd();
    return this.take(this.bytes.length).toString();
  }

  /** The next answer; `undefined` where the connection ends before. @param headOnly for an answer that lasts. */
  async answer(headOnly = false): Promise<RawAnswer | undefined> {
    if (!(await this.has(() => this.bytes.includes('\r\n\r\n')))) return undefined;
    const end = this.bytes.indexOf('\r\n\r\n');
    const [first = '', ...lines] = this.take(end + 4)
      .toString('latin1')
      .split('\r\n');
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      if (colon > 0 && !headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
    }
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
    if (status === 0) throw new Error(`The answer begins with ${JSON.stringify(first.slice(0, 80))}`);
    const lasts = status === 101 || (headers.get('content-type') ?? '').startsWith('text/event-stream');
    const body = headOnly || lasts || status === 204 ? '' : await this.body(headers);
    return { status, headers, body };
  }

  /** The next frame; `undefined` where the connection ends before. */
  async frame(): Promise<RawFrame | undefined> {
    if (!(await this.has(() => this.bytes.length >= 2))) return undefined;
    const first = this.bytes[0] as number;
    const size = (this.bytes[1] as number) & 0x7f;
    const head = size === 126 ? 4 : size === 127 ? 10 : 2;
    if (!(await this.has(() => this.bytes.length >= head))) return undefined;
    const length =
      size === 126 ? this.bytes.readUInt16BE(2) : size === 127 ? Number(this.bytes.readBigUInt64BE(2)) : size;
    if (!(await this.has(() => this.bytes.length >= head + length))) return undefined;
    const payload = this.take(head + length).subarray(head);
    return { opcode: first & 0x0f, payload };
  }

  private async body(headers: ReadonlyMap<string, string>): Promise<string> {
    if (headers.get('transfer-encoding') === 'chunked') {
      let body = '';
      for (;;) {
        if (!(await this.has(() => this.bytes.includes('\r\n')))) return body;
        const size = parseInt(this.take(this.bytes.indexOf('\r\n') + 2).toString(), 16);
        if (!(await this.has(() => this.bytes.length >= size + 2))) return body;
        body += this.take(size + 2).toString('utf8', 0, size);
        if (size === 0) return body;
      }
    }
    const length = Number(headers.get('content-length') ?? 0);
    await this.has(() => this.bytes.length >= length);
    return this.take(length).toString();
  }

  private take(count: number): Buffer {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }

  /** Whether it came before the end of the connection. */
  private async has(condition: () => boolean): Promise<boolean> {
    await this.waitFor(() => condition() || this.ended, 'an answer');
    return condition();
  }

  private waitFor(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${what} did not come; received ${JSON.stringify(this.bytes.toString('latin1'))}`));
      }, TIMEOUT_MS);
      this.wake = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.wake = () => undefined;
        resolve();
      };
      this.wake();
    });
  }

  private onEnd(): void {
    this.ended = true;
    this.wake();
  }
}

/** How a frame departs from what a client sends. */
export interface FrameShape {
  /** The first byte. Default: the last fragment of a text. */
  readonly first?: number;
  /** Default true, as RFC 6455 §5.1 wants it. */
  readonly masked?: boolean;
  /** What the header claims; default: what follows. */
  readonly length?: bigint;
}

/** A frame as a client sends it, or as it must not. */
export function frame(payload: string | Uint8Array, shape: FrameShape = {}): Buffer {
  const { first = 0x81, masked = true } = shape;
  const bytes = Buffer.from(payload);
  const length = shape.length ?? BigInt(bytes.length);
  const head = Buffer.alloc(length < 126n ? 2 : length < 65_536n ? 4 : 10);
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | (length < 126n ? Number(length) : length < 65_536n ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(Number(length), 2);
  if (head.length === 10) head.writeBigUInt64BE(length, 2);
  if (!masked) return Buffer.concat([head, bytes]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, bytes.map((byte, index) => byte ^ (mask[index & 3] as number))]);
}

/** Lines of a head, each as it is, and the empty line behind them. */
export function head(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** An upgrade that lacks nothing, and more headers. @param target with its query */
export function upgrade(headers: readonly string[] = [], target = '/realtime'): string {
  return head(
    `GET ${target} HTTP/1.1`,
    'Host: app.example',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  );
}

/** A POST that lacks nothing. @param target with its query */
export function posted(target: string, body: string, headers: readonly string[] = []): string {
  const lines = ['Host: app.example', 'Content-Type: application/json', 'Connection: close', ...headers];
  return head(`POST ${target} HTTP/1.1`, ...lines, `Content-Length: ${Buffer.byteLength(body)}`) + body;
}
