import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/ports/clock.js';
import type { UnfinishedBytes } from '../../core/ports/transport-host.js';
import type { Exchange } from '../http/exchange.js';
import type { PageVerdict } from '../http/handshake-policy.js';
import { endRequest, isHttp2 } from '../http/http2.js';
import type { Outgoing } from '../http/outgoing.js';
import { bytesIn, type Answer } from './answer.js';
import { SlicedBody } from './sliced-body.js';
import { dropBody } from './unread-body.js';
import type { UnreadAnswers } from './unread-answers.js';

/** How long a body may still come that nobody reads, in milliseconds. */
const LINGER_MS = 2_000;
/** The same where the server closes, which waits for it. */
const CLOSING_LINGER_MS = 250;

/** A request of a session, or one that opens one. */
export interface SessionExchange extends Exchange {
  /** Of the page that sent it, once that was judged. */
  page?: PageVerdict;
  /** Methods of the path. */
  readonly allow: string;
  /** Whether it names a session that is open, or was. */
  inSession?: boolean;
}

/** How answers are written. */
export interface AnswerRules {
  readonly clock: Clock;
  /** Most bytes of a body that nobody reads. */
  readonly maxBytes: number;
  /** Whether the connection ends behind it. */
  readonly ends: boolean;
  readonly unread: UnreadAnswers;
  readonly outgoing: Outgoing;
  /** Whether the server closes. */
  readonly closing: boolean;
  /** Counts what answers hold that nobody else follows: those of the sessions of other nodes. */
  readonly relayed: UnfinishedBytes;
  /** As in {@link Handshake.network}, of who is answered. */
  readonly network: string;
}

/** Writes the answer to a request, whose body may not have been read. */
export function writeAnswer({ req, res, cors }: SessionExchange, answer: Answer, rules: AnswerRules): void {
  const { status, headers, body, fate } = answer;
  if (res.headersSent || res.destroyed) return fate?.end();
  const bytes = bytesIn(answer);
  res.writeHead(status, {
    ...cors,
    ...headers,
    ...(status === 204 ? {} : { 'Content-Length': bytes }),
    ...(rules.ends && !isHttp2(req) ? { Connection: 'close' } : {}),
  });
  const cut = (): void => endRequest(req);
  const { network, relayed } = rules;
  const sender = { network, client: network, shed: cut };
  const note = (waiting: number): void => {
    if (fate === undefined) relayed.note(sender, waiting);
  };
  const sliced = new SlicedBody(res, body, bytes, () => note(sliced.waiting));
  rules.unread.watch(res, () => sliced.waiting);
  res.on('close', () => {
    note(0);
    fate?.end();
  });
  note(bytes);
  fate?.begin(cut);
  if (res.destroyed) return;
  sliced.write(() => {
    rules.outgoing.add(res);
    if (req.complete) res.end();
    else drain(req, res, rules);
  });
}

/**
 * The client has the whole answer, and may still be sending: to close now could cut the answer off on its way. What comes is dropped,
 * for as much and as long as a body may be.
 */
function drain(req: IncomingMessage, res: ServerResponse, { clock, maxBytes, closing }: AnswerRules): void {
  const timer = clock.schedule(closing ? CLOSING_LINGER_MS : LINGER_MS, () => req.socket.destroy());
  res.flushHeaders();
  res.on('close', () => timer.cancel());
  dropBody(req, maxBytes);
  req.on('end', () => {
    timer.cancel();
    res.end();
  });
}
