import type { IncomingMessage } from 'node:http';
import { ChunkCount } from './chunk-count.js';

/**
 * Drops what comes of a body that nobody wants. Node would keep up to a packet of it, which may be thousands of chunks. What is more
 * than that, or comes in too many chunks, ends the connection.
 *
 * @param maxBytes left out where the answer has yet to be written, which comes soon and must not be cut off.
 */
export function dropBody(req: IncomingMessage, maxBytes = Infinity): void {
  const chunks = new ChunkCount();
  let bytes = 0;
  req.on('error', () => undefined);
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes || !chunks.take(chunk)) req.socket.destroy();
  });
}
