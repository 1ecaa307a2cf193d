import type { IncomingMessage, ServerResponse } from 'node:http';
import { attempt, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { isHttp2 } from './http2.js';

/** A request, and where its answer goes. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** By which a page may read the answer; those of a route of the application are the application's. */
  cors: Readonly<Record<string, string>>;
}

/** What a request throws. */
export interface ExchangeFailure {
  readonly onError: (error: unknown) => void;
  /** Answers it in the place of what failed. */
  readonly refuse: () => void;
}

/** Runs a step of a request. What it throws would leave the event of the HTTP server, or its promise, and end the process. */
export function guardExchange(
  { req, res }: Exchange,
  step: () => MaybePromise<void>,
  { onError, refuse }: ExchangeFailure,
): MaybePromise<void> {
  return attempt(
    step,
    () => undefined,
    (error) => {
      onError(error);
      if (res.headersSent) req.socket.destroy();
      else refuse();
    },
  );
}

/** What a page may send. */
export interface Allowed {
  readonly methods: string;
  readonly headers: string;
}

/** Answers a preflight (Fetch §3.2.2), for ten minutes. @param cors those of the answer to come. @param ends whether the connection does. */
export function writePreflight(
  { req, res }: Exchange,
  cors: Exchange['cors'],
  { methods, headers }: Allowed,
  ends: boolean,
): void {
  res
    .writeHead(204, {
      ...cors,
      'Access-Control-Allow-Methods': methods,
      'Access-Control-Allow-Headers': headers,
      'Access-Control-Max-Age': '600',
      ...(ends && !isHttp2(req) && { Connection: 'close' }),
    })
    .end();
}
