import type { IncomingMessage } from 'node:http';
import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';

/** A request of HTTP/2, which Node shows as one of HTTP/1. */
export type Http2Request = IncomingMessage & { readonly stream: ServerHttp2Stream };

/** By what it is: Node's parser of HTTP/1 takes every version that a client writes into its request line. */
export function isHttp2(req: IncomingMessage): req is Http2Request {
  return 'stream' in req;
}

/**
 * What carries this request alone: its stream of HTTP/2, or its connection. The socket that Node shows of a request of HTTP/2 adds
 * listeners to the stream, and looks for them at the connection when they are to be removed.
 */
export function carrierOf(req: IncomingMessage): Duplex {
  return isHttp2(req) ? req.stream : req.socket;
}

/** Ends a request at once, and what carries it alone. */
export function endRequest(req: IncomingMessage): void {
  // A client is to see that this is not the whole answer.
  if (isHttp2(req)) req.stream.close(constants.NGHTTP2_CANCEL);
  carrierOf(req).destroy();
}

const probed = new WeakSet<Http2Session>();

/**
 * Ends a connection of HTTP/2 that does not answer a ping in time. Node does not notice that the other end of one over TLS is gone
 * while bytes wait to be written: the connection would stay for ever, with what it keeps.
 */
export function endUnlessAlive(session: Http2Session | undefined, clock: Clock, withinMs: number): void {
  if (session === undefined || session.destroyed || probed.has(session)) return;
  probed.add(session);
  const timer = clock.schedule(withinMs, () => socketOf(session)?.destroy());
  const settle = (): void => {
    timer.cancel();
    probed.delete(session);
  };
  session.once('close', settle);
  const onAnswer = (error: Error | null): void => {
    if (error !== null) return;
    settle();
    session.removeListener('close', settle);
  };
  // Where the application has sent as many as may be without an answer, it is waited for theirs.
  if (!session.ping(onAnswer)) onAnswer(null);
}

/** `session.destroy()` waits for the write that is under way. What Node shows as its socket cannot be destroyed; its methods return the real one. */
function socketOf({ socket }: Http2Session): Duplex | undefined {
  return (socket as typeof socket | undefined)?.removeListener('close', ignore);
}

function ignore(): void {
  // Is listener of nothing.
}
