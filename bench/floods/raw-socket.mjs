import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const CLOSE = 0x8;
const HEAD_END = Buffer.from('\r\n\r\n');

/** The server did not switch protocols. `reason` is its HTTP status, or what became of the socket. */
export class Refused extends Error {
  constructor(reason) {
    super(`Refused: ${reason}`);
    this.reason = String(reason);
  }
}

/**
 * A WebSocket that keeps no rule: whatever is written leaves as it is. What arrives is parsed for close frames, and for
 * text while somebody listens.
 */
export class RawSocket {
  /** Called with each text message. While undefined, messages are skipped unread. */
  onText;
  /** Settles with the code of the close frame, or with `cut` where none came. */
  closed;
  #code = 'cut';
  #pending = Buffer.alloc(0);
  /** Payload bytes of a message that nobody wants. */
  #skip = 0;
  #drained;

  /**
   * @param {object} target
   * @param {number} target.port
   * @param {string} [target.address] Address that it comes from. Default 127.0.0.1.
   * @param {string} [target.path]
   * @param {readonly string[]} [target.protocols]
   * @param {readonly string[]} [target.headers] Further header lines.
   * @returns {Promise<RawSocket>}
   * @throws Refused
   */
  static async open({ port, address = '127.0.0.1', path = '/realtime', protocols, headers = [] }) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: address, noDelay: true });
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...(protocols ? [`Sec-WebSocket-Protocol: ${protocols.join(', ')}`] : []),
      ...headers,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    const rest = await switched(socket);
    return new RawSocket(socket, rest);
  }

  constructor(socket, rest) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#drained?.();
        resolve(this.#code);
      });
    });
    socket.on('error', () => undefined);
    socket.on('drain', () => this.#drained?.());
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => this.#take(chunk));
    if (rest.length > 0) this.#take(rest);
    socket.resume();
  }

  /** Whether it can still be written to. */
  get alive() {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** @returns {boolean} whether more may be written at once. */
  write(bytes) {
    return this.alive && this.socket.write(bytes);
  }

  /** When more may be written, or the socket is closed. */
  async drained() {
    if (this.alive && this.socket.writableNeedDrain)
      await new Promise((resolve) => (this.#drained = resolve));
    else await new Promise(setImmediate);
  }

  /** Reads nothing any more. */
  deafen() {
    this.socket.pause();
  }

  destroy() {
    this.socket.destroy();
  }

  #take(chunk) {
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, chunk.length);
      this.#skip -= skipped;
      chunk = chunk.subarray(skipped);
    }
    if (chunk.length === 0) return;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const read = this.#next(this.#pending);
      if (read === 0) return;
      this.#pending = this.#pending.subarray(read);
    }
  }

  /** Takes one frame off the bytes. @returns {number} how many it took, 0 while the frame is not complete. */
  #next(bytes) {
    if (bytes.length < 2) return 0;
    let length = bytes[1] & 0x7f;
    let start = 2;
    if (length === 126) {
      if (bytes.length < 4) return 0;
      length = bytes.readUInt16BE(2);
      start = 4;
    } else if (length === 127) {
      if (bytes.length < 10) return 0;
      length = Number(bytes.readBigUInt64BE(2));
      start = 10;
    }
    const opcode = bytes[0] & 0xf;
    const wanted = opcode === CLOSE || (opcode === 1 && this.onText !== undefined);
    const end = start + length;
    if (!wanted) {
      this.#skip = Math.max(0, end - bytes.length);
      return Math.min(end, bytes.length);
    }
    if (bytes.length < end) return 0;
    if (opcode === CLOSE) {
      this.#code = length >= 2 ? bytes.readUInt16BE(start) : 1005;
      this.socket.destroy();
    } else {
      this.onText?.(bytes.toString('utf8', start, end));
    }
    return end;
  }
}

/** The bytes behind the answer to the upgrade. */
async function switched(socket) {
  const ended = new AbortController();
  const fail = (why) => {
    socket.destroy();
    throw new Refused(why);
  };
  socket.once('close', () => ended.abort());
  socket.on('error', (error) => ended.abort(error));
  let head = Buffer.alloc(0);
  try {
    for (;;) {
      const [chunk] = await once(socket, 'data', { signal: ended.signal });
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(HEAD_END);
      if (end === -1) continue;
      const status = head.toString('latin1', 9, 12);
      if (status !== '101') return fail(status);
      socket.pause();
      return head.subarray(end + HEAD_END.length);
    }
  } catch (error) {
    if (error instanceof Refused) throw error;
    return fail(ended.signal.reason?.code ?? 'cut');
  }
}
