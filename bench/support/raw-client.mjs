import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

/**
 * A WebSocket subscriber that costs the load generator as little as a socket can: the handshake and client frames are
 * written by hand, and what arrives is counted in one shared buffer, never parsed.
 */
export class RawClient {
  /** Bytes received behind the upgrade response. */
  received = 0;

  /**
   * @param {number} port
   * @param {{ path?: string, buffer: Uint8Array, onBytes: (bytes: number) => void }} options `buffer` is shared by all clients.
   * @returns {Promise<RawClient>} once the server switched protocols.
   */
  static open(port, { path = '/', buffer, onBytes }) {
    const client = new RawClient();
    return new Promise((resolve, reject) => {
      let upgraded = false;
      const onRead = (length, chunk) => {
        if (upgraded) {
          client.received += length;
          onBytes(length);
          return true;
        }
        const text = Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
        const end = text.indexOf('\r\n\r\n');
        if (!text.startsWith('HTTP/1.1 101') || end === -1) {
          reject(new Error(`The server did not switch protocols: ${text.slice(0, 80)}`));
          return false;
        }
        upgraded = true;
        const rest = length - end - 4;
        client.received += rest;
        onBytes(rest);
        resolve(client);
        return true;
      };
      client.socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback: onRead } });
      client.socket.setNoDelay(true);
      client.socket.on('error', reject);
      client.socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
      );
    });
  }

  /** Sends a masked text frame (RFC 6455 §5.3). */
  send(text) {
    const payload = Buffer.from(text);
    if (payload.length > 65_535) throw new RangeError('The bench sends short frames only');
    const long = payload.length > 125;
    const header = Buffer.alloc(long ? 8 : 6);
    header[0] = 0x81;
    header[1] = 0x80 | (long ? 126 : payload.length);
    if (long) header.writeUInt16BE(payload.length, 2);
    const mask = randomBytes(4);
    mask.copy(header, header.length - 4);
    for (let index = 0; index < payload.length; index++) payload[index] ^= mask[index & 3];
    this.socket.write(Buffer.concat([header, payload]));
  }

  close() {
    this.socket.destroy();
  }
}
