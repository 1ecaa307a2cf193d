import { isPromise, whenReady, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { CLOSE_CODES } from '../../protocol/close-codes.js';
import {
  BUSY,
  endAnswer,
  NO_SESSION,
  OTHER_ORIGIN,
  refusalAnswer,
  TAKEN,
  type Answer,
  type SessionEnd,
} from './answer.js';
import { frameOfBody } from './frame-of-body.js';
import { answerOf, type WhenGone } from './poll-carrier.js';
import type { HttpSession } from './session.js';
import type { SessionTable } from './session-table.js';

/** How long a body may wait until the engine reads again, in milliseconds. */
const READING_WAIT_MS = 5_000;

/** What a request of a session says of itself. */
export interface SessionRequest {
  /** The id of the session, its only proof. */
  readonly session: string;
  /** Of `/send`, the number of the body; of `/poll`, that of the last answer that the client has. `NaN` for what is no number. */
  readonly number: number;
  /** The header, which must be that of the request that opened the session. */
  readonly origin: string | undefined;
  /** As in {@link Handshake.network}, of who sent it to this node; '' where it came from another node. */
  readonly network: string;
}

/** Answers the requests of sessions, wherever they are held. */
export interface SessionAnswers {
  /** Takes a body: once, however often it comes. The body is written to. */
  send(request: SessionRequest, body: Buffer): MaybePromise<Answer>;
  /**
   * Looks at a request before its body is read.
   *
   * @returns its answer, where it needs no body; `undefined` for {@link finishSend}.
   */
  beginSend(request: SessionRequest): MaybePromise<Answer | undefined>;
  /** Takes the body of a request that {@link beginSend} has passed. */
  finishSend(request: SessionRequest, body: Buffer): MaybePromise<Answer>;
  /** Of a body that is larger than a frame may be, and was not kept. */
  tooLarge(request: SessionRequest): MaybePromise<Answer>;
  /** @param whenGone called at once with what ends the wait, for a client that goes away; what it is answered then is not sent. */
  poll(request: SessionRequest, whenGone: WhenGone): MaybePromise<Answer>;
}

export const MALFORMED = 'The body is neither an envelope nor an array of envelopes';

/** Answers the requests of the sessions that this node holds (P21). */
export class SessionRequests implements SessionAnswers {
  constructor(private readonly table: SessionTable<HttpSession>) {}

  send(request: SessionRequest, body: Buffer): MaybePromise<Answer> {
    return whenReady(this.beginSend(request), (early) => early ?? this.finishSend(request, body));
  }

  beginSend(request: SessionRequest): MaybePromise<Answer | undefined> {
    const session = this.find(request);
    if ('status' in session) return this.repeatedBye(request) ?? session;
    const early = this.judge(session, request.number);
    if (early !== undefined || !session.isPaused) return early;
    return session.whenReading(READING_WAIT_MS).then((reads) => {
      if (!reads || session.isPaused) return refusalAnswer(BUSY);
      const later = this.look(request);
      return 'status' in later ? later : this.judge(later, request.number);
    });
  }

  finishSend(request: SessionRequest, body: Buffer): Answer {
    const session = this.look(request);
    if ('status' in session) return this.repeatedBye(request) ?? session;
    const { number } = request;
    // The same body came by another request while this one was read.
    if (number !== session.taken + 1) return number === session.taken ? TAKEN : stale();
    const frame = frameOfBody(body);
    if (frame === undefined) {
      session.fail('protocol_error');
      return endAnswer(400, MALFORMED, this.table.endOf(request.session));
    }
    const end = session.take(number, frame, body.length);
    // Who said `bye` was understood.
    if (end === undefined || end.code === CLOSE_CODES.normal.code) return TAKEN;
    return endAnswer(statusOf(end), 'The session has ended', end);
  }

  tooLarge(request: SessionRequest): Answer {
    const session = this.look(request);
    if ('status' in session) return session;
    session.fail('message_too_large');
    return endAnswer(413, 'The body is larger than a frame may be', this.table.endOf(request.session));
  }

  poll(request: SessionRequest, whenGone: WhenGone): MaybePromise<Answer> {
    const session = this.find(request);
    if ('status' in session) return this.lastOf(request) ?? session;
    const answer = session.polls?.poll(request.number, whenGone) ?? 'wrong';
    if (isPromise(answer) || typeof answer !== 'string') return answer;
    if (answer === 'stale') return stale();
    if (answer === 'wrong') return this.violated(session, wrongAck(session, request.number));
    session.lose();
    return endAnswer(410, 'What this answer held was withdrawn: resume');
  }

  /** The body with which a client left, again: its answer was lost, or a proxy sent it twice. It is answered as the first one. */
  private repeatedBye({ session, number }: SessionRequest): Answer | undefined {
    return this.table.leftWith(session, number) ? TAKEN : undefined;
  }

  private judge(session: HttpSession, number: number): Answer | undefined {
    if (number === session.taken + 1) return undefined;
    if (number === session.taken) return TAKEN;
    return number < session.taken ? stale() : this.violated(session, wrongSend(session, number));
  }

  private violated(session: HttpSession, message: string): Answer {
    session.fail('protocol_error');
    return endAnswer(409, message, this.table.endOf(session.id));
  }

  /** The session of a request, which is counted, also where it comes from another origin: to refuse it costs as much. */
  private find(request: SessionRequest): HttpSession | Answer {
    this.table.get(request.session)?.count();
    return this.look(request);
  }

  private look({ session: id, origin }: SessionRequest): HttpSession | Answer {
    const session = this.table.get(id);
    if (session === undefined) return this.gone(id);
    return session.handshake.headers.origin === origin ? session : refusalAnswer(OTHER_ORIGIN);
  }

  private gone(id: string): Answer {
    const end = this.table.endOf(id);
    return endAnswer(410, end === undefined ? NO_SESSION : 'The session has ended: open another', end);
  }

  private lastOf({ session, number, origin }: SessionRequest): Answer | undefined {
    const last = this.table.takeLast(session, number, origin);
    if (last === 'other') return refusalAnswer(OTHER_ORIGIN);
    return last === undefined ? undefined : answerOf(number + 1, last.body, this.table.endOf(session)?.code);
  }
}

/** An older request was delayed on its way, and nobody waits for its answer: the session continues. */
function stale(): Answer {
  return refusalAnswer({ status: 409, message: 'A newer request of this session was answered' });
}

function wrongSend({ taken }: HttpSession, number: number): string {
  return Number.isNaN(number)
    ? 'Realtime-Send is missing, or no number: number the bodies 1, 2, 3 …'
    : `Realtime-Send: ${number} does not follow ${taken}: send ${taken + 1}`;
}

function wrongAck({ polls }: HttpSession, number: number): string {
  if (polls === undefined) return 'This session has a stream, and is not polled';
  return Number.isNaN(number)
    ? 'Realtime-Ack is missing, or no number: send the Realtime-Answer of the last answer that came'
    : `Realtime-Ack: ${number} is the number of no answer: send the Realtime-Answer of the last one that came`;
}

function statusOf({ code }: SessionEnd): 400 | 410 | 413 {
  if (code === CLOSE_CODES.protocol_error.code) return 400;
  return code === CLOSE_CODES.message_too_large.code ? 413 : 410;
}
