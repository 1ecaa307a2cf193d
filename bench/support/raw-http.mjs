import { connect } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

/** One request, as text. */
export function requestText(port, { method = 'GET', path, headers = {}, body = '' }) {
  const lines = Object.entries({ Host: `127.0.0.1:${port}`, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  if (method !== 'GET') lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/**
 * A connection that asks one thing after another and is kept: it costs the load generator little more than its socket. Answers
 * must say how long they are.
 */
export class RawHttp {
  rest = Buffer.alloc(0);
  waiting;

  /** Whether it cannot be asked any more. */
  isClosed = false;

  /** @param {(length: number, chunk: Uint8Array) => void} [onBytes] Told of every byte that comes. */
  static open(port, onBytes = () => undefined) {
    const http = new RawHttp();
    http.port = port;
    return new Promise((resolve, reject) => {
      http.socket = connect({ port, host: '127.0.0.1' }, () => resolve(http));
      http.socket.setNoDelay(true);
      http.socket.on('error', (error) => {
        reject(error);
        http.waiting?.reject(error);
      });
      http.socket.on('close', () => {
        http.isClosed = true;
        http.waiting?.reject(new Error('The connection was closed before its answer'));
      });
      http.socket.on('data', (chunk) => {
        onBytes(chunk.length, chunk);
        http.#take(chunk);
      });
    });
  }

  /** @returns {Promise<{ head: string, body: string }>} */
  ask(request) {
    this.socket.write(requestText(this.port, request));
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  close() {
    this.socket.destroy();
  }

  #take(chunk) {
    const all = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const end = all.indexOf(HEAD_END);
    if (end === -1) return void (this.rest = all);
    const head = all.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const whole = end + HEAD_END.length + length;
    if (all.length < whole) return void (this.rest = all);
    this.rest = all.subarray(whole);
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.resolve({ head, body: all.toString('utf8', end + HEAD_END.length, whole) });
  }
}
