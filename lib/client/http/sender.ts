import type { FrameLimits } from '../../protocol/envelope.js';
import { CLOSE_CODES } from '../../protocol/close-codes.js';
import { exponentialDelay } from '../backoff.js';
import type { ClientTimer } from '../clock.js';
import { bytesOf } from '../connection/frames.js';
import { durationOf } from '../received.js';
import { exchange, jsonOf, refusalOf, type Exchange, type HttpAnswer, type HttpDeps } from './request.js';

/** How long a request that failed waits before it is sent again: at first hardly, as the session stands still meanwhile. */
const REPEAT = { baseMs: 200, maxMs: 5_000, firstSpreadMs: 0, stableMs: 0 };
/** Browsers give all requests that outlive their page 64 KiB together. */
const MAX_KEEPALIVE_BYTES = 48 * 1_024;
/** What a JSON array adds: its brackets. Commas stand where line ends would. */
const BRACKETS = 2;
/** How the last command of a client begins. */
const BYE = '{"type":"bye"';

/** Why a session cannot go on. */
export interface SessionLoss {
  readonly code: number;
  /** As a close frame has it: `name|retryAfterMs`. */
  readonly reason: string;
  /** In words. */
  readonly failure: string;
}

/** What {@link repeat} needs, and a {@link Sender}. */
export interface SessionRequests extends HttpDeps {
  readonly random: () => number;
  /** Longest wait for one answer. */
  readonly requestLimitMs: number;
  /** For how long a request is repeated while nothing answers as the server would. A longer wait is not for this session, either. */
  readonly patienceMs: number;
  /** Whether a refusal for a time is a sign of life. Not where nothing but these requests tells whether the server lives. */
  readonly refusalsProveLife: boolean;
  /** Clients that are sent away together spread themselves over this long, or over the wait again where that is less. */
  readonly spreadMs: number;
}

/** What to do with an answer: it is taken, asks to come again, ends the session, or is not the server's. */
export type Verdict =
  | { readonly kind: 'taken' }
  | { readonly kind: 'again'; readonly afterMs: number }
  | { readonly kind: 'lost'; readonly loss: SessionLoss }
  | { readonly kind: 'unknown' };

/** A request that is repeated, byte by byte the same, until the server answers it. */
export class Repeated {
  /** When it failed first. */
  private since: number | undefined;
  private failures = 0;
  private running: Exchange<HttpAnswer> | undefined;
  private timer: ClientTimer | undefined;
  private isStopped = false;

  constructor(
    private readonly deps: SessionRequests,
    private readonly url: string,
    private readonly sent: Parameters<typeof exchange>[2],
    private readonly limitMs: number,
    private readonly judge: (answer: HttpAnswer) => Verdict | Promise<Verdict>,
    private readonly done: (loss?: SessionLoss) => void,
  ) {
    this.run();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.running?.abort();
  }

  private run(): void {
    this.running = exchange(this.deps, this.url, this.sent, this.limitMs);
    void this.running.result
      .then((answer) => this.judge(answer))
      .catch((): Verdict => ({ kind: 'unknown' }))
      .then((verdict) => {
        if (!this.isStopped) this.follow(verdict);
      });
  }

  private follow(verdict: Verdict): void {
    const { clock, random, patienceMs, refusalsProveLife, spreadMs } = this.deps;
    if (verdict.kind === 'taken') return this.done();
    if (verdict.kind === 'lost') return this.done(verdict.loss);
    const advisedMs = verdict.kind === 'again' ? verdict.afterMs : 0;
    const delayMs = exponentialDelay(REPEAT, this.failures++, random);
    const afterMs = Math.max(delayMs, advisedMs + random() * Math.min(advisedMs, spreadMs));
    const now = clock.monotonic();
    this.since = verdict.kind === 'again' && refusalsProveLife ? undefined : (this.since ?? now);
    const isDead = this.since !== undefined && now + afterMs - this.since > patienceMs;
    if (isDead || advisedMs > patienceMs)
      return this.done(
        advisedMs > 0
          ? { code: 1006, reason: `overloaded|${advisedMs}`, failure: 'The server asks to come back later' }
          : { code: 1006, reason: '', failure: 'The server does not answer' },
      );
    this.timer = clock.schedule(afterMs, () => this.run());
  }
}

/** Judges an answer that is not the one that was hoped for. */
export async function verdictOf(answer: HttpAnswer): Promise<Verdict> {
  const { status, text } = answer;
  const { statusCode, close, message, error, retryAfterMs } = jsonOf(text);
  if (status === 429 || status === 503) {
    const refusal = await refusalOf(answer);
    return { kind: 'again', afterMs: refusal.kind === 'busy' ? refusal.retryAfterMs : 0 };
  }
  // Anything between here and the server answers with other statuses, or another body; so does the application around it, whose 404
  // has an `error`, once a server that is being replaced has left its paths.
  if (error !== undefined || statusCode !== status || typeof message !== 'string') return { kind: 'unknown' };
  const code = typeof close === 'number' ? close : (CLOSE_OF_STATUS[status] ?? 1006);
  const afterMs = durationOf(retryAfterMs) ?? 0;
  return {
    kind: 'lost',
    loss: {
      // A repeat that a proxy made on its own is no fault of this client, and no reason to stay away.
      code: status === 409 ? 1006 : code,
      reason: afterMs > 0 ? `overloaded|${afterMs}` : '',
      failure: message,
    },
  };
}

/** The commands of a frame that the server cannot read, or that is too large, would be refused again. */
const CLOSE_OF_STATUS: Partial<Record<number, number>> = {
  400: CLOSE_CODES.protocol_error.code,
  413: CLOSE_CODES.message_too_large.code,
};

/**
 * Sends the commands of a session, one request at a time: each has a number, and the same number has the same content however often it
 * is sent, so that the server runs it once. What is queued meanwhile goes with the next request.
 */
export class Sender {
  private queue: string[] = [];
  private number = 0;
  private running: Repeated | undefined;
  private onEmpty: (() => void) | undefined;
  private isStopped = false;

  constructor(
    private readonly deps: SessionRequests,
    private readonly url: string,
    private readonly session: string,
    private readonly limits: FrameLimits,
    private readonly onLost: (loss: SessionLoss) => void,
  ) {}

  /** @param lines Envelopes as JSON, each within the limits. */
  push(lines: readonly string[]): void {
    this.queue.push(...lines);
    this.next();
  }

  /** Sends what is left, the last time. @param onDone Called when the server has it, or will never have it. */
  finish(onDone: () => void): void {
    this.onEmpty = onDone;
    this.next();
  }

  stop(): void {
    this.isStopped = true;
    this.running?.stop();
    this.queue = [];
  }

  private next(): void {
    if (this.running !== undefined || this.isStopped) return;
    if (this.queue.length === 0) {
      this.onEmpty?.();
      return;
    }
    const { body, keepalive, saysBye } = this.take();
    const headers = {
      'realtime-session': this.session,
      'realtime-send': String(++this.number),
    };
    const judge = async (answer: HttpAnswer): Promise<Verdict> => {
      if (answer.status === 202) return { kind: 'taken' };
      const verdict = await verdictOf(answer);
      // Of one that was repeated, by this client or on its way, the first has ended the session.
      return saysBye && answer.status === 410 && verdict.kind === 'lost' ? { kind: 'taken' } : verdict;
    };
    this.running = new Repeated(
      this.deps,
      this.url,
      { headers, body, keepalive },
      this.deps.requestLimitMs,
      judge,
      (loss) => {
        this.running = undefined;
        if (loss === undefined) this.next();
        else this.onLost(loss);
      },
    );
  }

  /** As many commands as one request may have, in their order. */
  private take(): { body: string; keepalive: boolean; saysBye: boolean } {
    const { maxEnvelopesPerFrame, maxFrameBytes } = this.limits;
    let count = 0;
    let bytes = BRACKETS;
    for (const line of this.queue) {
      const more = bytesOf(line) + 1;
      if (count > 0 && (count >= maxEnvelopesPerFrame || bytes + more > maxFrameBytes)) break;
      bytes += more;
      count++;
    }
    const lines = this.queue.splice(0, count);
    const saysBye = lines.some((line) => line.startsWith(BYE));
    return {
      saysBye,
      // One alone needs no brackets, which could be too much for it.
      body: lines.length === 1 ? (lines[0] ?? '') : `[${lines.join(',')}]`,
      // A page that closes its client may be leaving.
      keepalive: bytes <= MAX_KEEPALIVE_BYTES && saysBye,
    };
  }
}
