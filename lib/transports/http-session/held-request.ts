import type { IncomingMessage } from 'node:http';
import type { UnfinishedBytes } from '../../core/ports/transport-host.js';
import { isHttp2 } from '../http/http2.js';
import { bytesOf } from '../http/reception.js';
import type { BodySender } from './bodies.js';

/**
 * A request whose answer may take long. Its head has been read and is dropped: the headers of some 2,000 lines that Node takes would be
 * more than a hundred kilobytes for each that waits. Those of HTTP/2 cannot be, and are few.
 *
 * @returns counts the rest no longer.
 */
export function holdRequest(
  req: IncomingMessage,
  { network, client }: BodySender,
  unfinished: UnfinishedBytes,
): () => void {
  if (!isHttp2(req)) dropHead(req);
  const sender = { network, client, shed: () => req.socket.destroy() };
  unfinished.note(sender, bytesOf(req));
  return () => unfinished.note(sender, 0);
}

/** Forgets the head of a request of HTTP/1. */
export function dropHead(req: IncomingMessage): void {
  req.rawHeaders = [];
  req.headers = {};
}
