import { connect, type Socket } from 'node:net';

/** A response as it came over the wire. */
export interface RawResponse {
  readonly statusLine: string;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One frame that the server sent. */
export interface RawFrame {
  readonly fin: boolean;
  readonly rsv1: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  /** Length of the header in bytes. */
  readonly headerBytes: number;
  readonly payload: Buffer;
}

export type HeaderLines = Readonly<Record<string, string | readonly string[] | undefined>>;

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** The bytes of an upgrade request; a header given as `undefined` is left out. */
export function upgradeRequest(
  target = '/realtime',
  headers: HeaderLines = {},
  method = 'GET',
  version = '1.1',
): string {
  const all: HeaderLines = {
    Host: 'example.com',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY,
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    (value === undefined ? [] : typeof value === 'string' ? [value] : value).map(
      (each) => `${name}: ${each}\r\n`,
    ),
  );
  return `${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`;
}

/** Sends bytes and resolves to the answer, which must be complete and followed by the end of the connection. */
export async function exchange(port: number, request: string): Promise<RawResponse> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', resolve);
    socket.on('error', reject);
    socket.write(request, 'latin1');
  });
  socket.destroy();
  return parseResponse(Buffer.concat(chunks).toString('latin1'));
}

/** What the server answers to an upgrade that it refuses. */
export function refusalOf(
  port: number,
  target?: string,
  headers?: HeaderLines,
  method?: string,
): Promise<RawResponse> {
  return exchange(port, upgradeRequest(target, headers, method));
}

export function parseResponse(text: string): RawResponse {
  const split = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, split).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(': ');
    const name = line.slice(0, colon).toLowerCase();
    if (Object.hasOwn(headers, name)) throw new Error(`${name} came twice`);
    headers[name] = line.slice(colon + 2);
  }
  return { statusLine, status: Number(statusLine.split(' ')[1]), headers, body: text.slice(split + 4) };
}

/** A WebSocket client that does nothing by itself: no pongs, no answers to a close. */
export class RawClient {
  readonly frames: RawFrame[] = [];
  ended = false;
  closed = false;
  private buffered = Buffer.alloc(0);
  private readonly waiting: (() => void)[] = [];

  private constructor(
    readonly socket: Socket,
    readonly response: RawResponse,
  ) {}

  /** Opens a connection; rejects with the status line when the upgrade is refused. */
  static async open(
    port: number,
    target?: string,
    headers?: HeaderLines,
    socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }),
  ): Promise<RawClient> {
    socket.write(upgradeRequest(target, headers), 'latin1');
    const head = await new Promise<Buffer>((resolve, reject) => {
      let bytes = Buffer.alloc(0);
      const onData = (chunk: Buffer): void => {
        bytes = Buffer.concat([bytes, chunk]);
        if (!bytes.includes('\r\n\r\n')) return;
        socket.off('data', onData);
        resolve(bytes);
      };
      socket.on('data', onData);
      socket.once('error', reject);
      socket.once('end', () => reject(new Error('ended before an answer')));
    });
    const split = head.indexOf('\r\n\r\n') + 4;
    const response = parseResponse(head.toString('latin1', 0, split));
    if (response.status !== 101) throw new Error(response.statusLine);
    const client = new RawClient(socket, response);
    socket.on('data', (chunk: Buffer) => client.take(chunk));
    socket.on('end', () => client.settle(() => (client.ended = true)));
    socket.on('close', () => client.settle(() => (client.closed = true)));
    socket.on('error', () => undefined);
    client.take(head.subarray(split));
    return client;
  }

  /** The first frame not yet taken. */
  async frame(): Promise<RawFrame> {
    await this.until(() => this.frames.length > 0);
    return this.frames.shift() as RawFrame;
  }

  /** Code and reason of the close frame that comes next among control frames; data before it is skipped. */
  async close(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.frame();
      if (opcode === 8) return { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
    }
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  text(payload: string): void {
    this.send(1, Buffer.from(payload));
  }

  send(opcode: number, payload: Buffer, options?: FrameOptions): void {
    this.socket.write(clientFrame(opcode, payload, options));
  }

  sendClose(code: number, reason = ''): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.send(8, Buffer.concat([payload, Buffer.from(reason)]));
  }

  private take(chunk: Buffer): void {
    this.settle(() => {
      this.buffered = Buffer.concat([this.buffered, chunk]);
      for (let frame = this.parse(); frame !== undefined; frame = this.parse()) this.frames.push(frame);
    });
  }

  private settle(change: () => void): void {
    change();
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private parse(): RawFrame | undefined {
    const bytes = this.buffered;
    if (bytes.length < 2) return undefined;
    const short = bytes.readUInt8(1) & 0x7f;
    const headerBytes = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (bytes.length < headerBytes) return undefined;
    const length =
      short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < headerBytes + length) return undefined;
    this.buffered = bytes.subarray(headerBytes + length);
    const first = bytes.readUInt8(0);
    return {
      fin: (first & 0x80) !== 0,
      rsv1: (first & 0x40) !== 0,
      opcode: first & 0x0f,
      masked: (bytes.readUInt8(1) & 0x80) !== 0,
      headerBytes,
      payload: bytes.subarray(headerBytes, headerBytes + length),
    };
  }
}

export interface FrameOptions {
  readonly fin?: boolean;
  readonly mask?: boolean;
  /** RSV bits, shifted to their place. */
  readonly rsv?: number;
  /** A length that the header claims instead of the true one. */
  readonly claim?: number;
}

/** A client's frame (RFC 6455 §5.2). */
export function clientFrame(opcode: number, payload: Buffer, options: FrameOptions = {}): Buffer {
  const { fin = true, mask = true, rsv = 0, claim = payload.length } = options;
  const head = Buffer.alloc(claim > 65_535 ? 10 : claim > 125 ? 4 : 2);
  head[0] = (fin ? 0x80 : 0) | rsv | opcode;
  head[1] = (mask ? 0x80 : 0) | (claim > 65_535 ? 127 : claim > 125 ? 126 : claim);
  if (head.length === 4) head.writeUInt16BE(claim, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(claim), 2);
  if (!mask) return Buffer.concat([head, payload]);
  const key = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const masked = Buffer.from(payload);
  for (let index = 0; index < masked.length; index++)
    masked[index] = masked.readUInt8(index) ^ key.readUInt8(index % 4);
  return Buffer.concat([head, key, masked]);
}
