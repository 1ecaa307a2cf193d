import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { maskedFrame } from './frames.mjs';
import { requestText } from './raw-http.mjs';

/**
 * A WebSocket client that costs the load generator as little as a socket can: the handshake and client frames are
 * written by hand, and what arrives is handed on from one shared buffer, unparsed.
 */
export class RawClient {
  /** Bytes received behind the upgrade response. */
  received = 0;

  /**
   * @param {number} port
   * @param {object} options
   * @param {string} [options.path] Default `/`.
   * @param {readonly string[]} [options.protocols] Value of `Sec-WebSocket-Protocol`. Default none.
   * @param {string} [options.extensions] Value of `Sec-WebSocket-Extensions`. Default none.
   * @param {boolean} [options.isStream] Whether it asks for an event stream instead of an upgrade. Default `false`.
   * @param {string} [options.body] JSON that is posted for the stream. Default: it is a GET.
   * @param {Uint8Array} options.buffer Shared by all clients; what it holds is valid during `onBytes` only.
   * @param {(length: number, chunk: Uint8Array, client: RawClient) => void} options.onBytes
   * @returns {Promise<RawClient>} once the server switched protocols.
   */
  static open(port, { path = '/', protocols, extensions, isStream = false, body, buffer, onBytes }) {
    const client = new RawClient();
    return new Promise((resolve, reject) => {
      let upgraded = false;
      const onRead = (length, chunk) => {
        if (upgraded) {
          client.received += length;
          onBytes(length, chunk, client);
          return true;
        }
        const text = Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
        const end = text.indexOf('\r\n\r\n');
        if (!text.startsWith(isStream ? 'HTTP/1.1 200' : 'HTTP/1.1 101') || end === -1) {
          reject(new Error(`The server did not switch protocols: ${text.slice(0, 80)}`));
          return false;
        }
        upgraded = true;
        const rest = length - end - 4;
        resolve(client);
        if (rest > 0) {
          client.received += rest;
          onBytes(rest, chunk.subarray(end + 4), client);
        }
        return true;
      };
      client.socket = connect({
        port,
        host: '127.0.0.1',
        onread: { buffer, callback: onRead },
      });
      client.socket.setNoDelay(true);
      client.socket.on('error', reject);
      if (isStream) {
        const headers = { 'Content-Type': 'application/json' };
        const request = body === undefined ? { path } : { method: 'POST', path, headers, body };
        return void client.socket.write(requestText(port, request));
      }
      client.socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          (protocols ? `Sec-WebSocket-Protocol: ${protocols.join(', ')}\r\n` : '') +
          (extensions ? `Sec-WebSocket-Extensions: ${extensions}\r\n` : '') +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
      );
    });
  }

  /** Sends one frame: text of a string, binary of bytes. */
  send(message) {
    this.socket.write(maskedFrame(message));
  }

  close() {
    this.socket.destroy();
  }
}
