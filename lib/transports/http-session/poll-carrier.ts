import type { Clock, Scheduled } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import type { Envelope } from '../../protocol/envelope.js';
import { endAnswer, refusalAnswer, SUPERSEDED, type Answer, type AnswerFate } from './answer.js';
import { AnswersInSockets } from './answers-in-sockets.js';
import type { Carrier, CarrierEvents, LastAnswer } from './carrier.js';
import { mayHoldErased } from './erased-frames.js';
import { arrayOf, EMPTY_ARRAY, pollFrameOf, POLL_VARIANT } from './poll-frames.js';

/** Least part of the interval that a poll waits: clients that began together do not stay together. */
const LEAST_PART = 0.8;
/** Most bytes that are kept beside the last word for a poll that comes yet. */
const MAX_LAST_BYTES = 4_096;
/** Bytes a second of the slowest line on which an answer is waited for that leaves by another node, which does not say when. */
const SLOWEST_BYTES_PER_SECOND = 16 * 1024;

/** Calls back when the client of a request is gone, instead of its answer. */
export type WhenGone = (callback: () => void) => void;

export interface PollCarrierDeps {
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number };
}

/**
 * Why a poll is not answered: `stale`, an older one was delayed on its way; `wrong`, no client of this protocol sends it; `lost`, what
 * it asks for was withdrawn.
 */
export type PollProblem = 'stale' | 'wrong' | 'lost';

/**
 * A session whose messages come as the answers to polls. Each acknowledges the answer before it, which is kept until then and given
 * again to a poll that does not.
 */
export class PollCarrier implements Carrier {
  readonly variant = POLL_VARIANT;
  readonly pings = false;
  /** The answers keep the frames themselves. */
  readonly copiesFrames = false;
  private session: CarrierEvents | undefined;
  /** Of the last answer. */
  private number = 0;
  /** Monotonic time at which it was given first. */
  private answeredAt = 0;
  private kept: readonly Buffer[] | 'withdrawn' | undefined;
  private keptBytes = 0;
  /** Whether the kept answer was given again. */
  private repeated = false;
  private readonly sockets = new AnswersInSockets(
    () => this.timer?.cancel(),
    (isLast) => this.onLeft(isLast),
  );
  /** Written, and in no answer yet. */
  private frames: Buffer[] = [];
  private framesBytes = 0;
  private answering = false;
  private waiting: ((answer: Answer) => void) | undefined;
  private timer: Scheduled | undefined;
  private ended = false;
  private onAllLeft: (() => void) | undefined;

  constructor(private readonly deps: PollCarrierDeps) {}

  get bufferedBytes(): number {
    const { sockets, keptBytes, framesBytes } = this;
    return sockets.bytes + (sockets.holdsLast ? 0 : keptBytes) + framesBytes;
  }

  begin(session: CarrierEvents): void {
    this.session = session;
  }

  /** The answer to the request that opens the session: what is written first. The engine bounds how long that takes. */
  first(whenGone: WhenGone): Promise<Answer> {
    return this.wait(() => this.session?.onGone(), whenGone);
  }

  /** @param acknowledged number of the last answer that the client has. */
  poll(acknowledged: number, whenGone: WhenGone): MaybePromise<Answer> | PollProblem {
    const { number, kept } = this;
    if (acknowledged === number - 1 && kept !== undefined) {
      if (kept === 'withdrawn') return 'lost';
      return this.repeat(kept);
    }
    // The client is still waiting for the first answer.
    if (number === 0) return 'wrong';
    if (acknowledged !== number) return acknowledged < number ? 'stale' : 'wrong';
    this.keep(undefined);
    // It is in a socket yet, so that nobody can have read it to its end: what it takes must not outlive it.
    this.sockets.cut();
    this.timer?.cancel();
    const { clock, entropy, heartbeat } = this.deps;
    const answer = this.wait(() => this.watch(), whenGone);
    const waitMs = heartbeat.intervalMs * (LEAST_PART + (1 - LEAST_PART) * entropy.random());
    // From the last answer on, as the client counts: the repeat of a poll that was cut begins no new wait.
    const leftMs = Math.max(0, this.answeredAt + waitMs - clock.monotonic());
    this.timer = clock.schedule(leftMs, () => this.answer());
    if (this.frames.length > 0) this.answerSoon();
    else if (this.sockets.bytes === 0) this.session?.onDrain();
    return answer;
  }

  /** Nothing is lost: what comes while no poll waits is the next answer. */
  write(frame: Buffer): boolean {
    if (this.ended) return false;
    if (frame.length === 0) return true;
    this.frames.push(frame);
    this.framesBytes += frame.length;
    this.answerSoon();
    return false;
  }

  mayHold(seqs: readonly number[]): boolean {
    const kept = this.kept === 'withdrawn' ? [] : (this.kept ?? []);
    const held = [...kept, ...(this.answering ? [] : this.frames)];
    return mayHoldErased(held, seqs);
  }

  withdraw(): void {
    if (this.kept !== undefined && this.keptBytes > 0) this.keep('withdrawn');
    // They belong to an answer that is on its way, as on a socket that was written to.
    if (this.frames.length === 0 || this.answering) return;
    this.frames = [];
    this.framesBytes = 0;
    this.session?.onLost();
  }

  end(last: Envelope, code: number): LastAnswer | undefined {
    if (this.ended) return undefined;
    this.ended = true;
    if (this.framesBytes > MAX_LAST_BYTES && this.waiting === undefined) this.frames = [];
    this.frames.push(pollFrameOf(last));
    const { number, frames, waiting } = this;
    if (waiting !== undefined) this.answer(code);
    this.stop();
    return waiting === undefined ? { acknowledged: number, body: arrayOf(frames) } : undefined;
  }

  destroy(): void {
    this.ended = true;
    this.waiting?.(endAnswer(410, 'The session has ended'));
    this.stop();
    this.sockets.cut();
  }

  /** Ends the connection of an answer that has not left. */
  cut(): void {
    this.sockets.cut();
  }

  /** Calls back once no socket holds anything of it, not before the next turn: the last answer is written in this one. */
  whenLeft(callback: () => void): void {
    setImmediate(() => {
      if (this.sockets.bytes === 0) callback();
      else this.onAllLeft = callback;
    });
  }

  /** The kept answer once more. It costs what an answer does; only the first time it is given whatever the client owes. */
  private repeat(kept: readonly Buffer[]): Answer {
    const { keptBytes, repeated } = this;
    const waitMs = this.session?.onRepeat(keptBytes, repeated) ?? 0;
    if (waitMs > 0) {
      if (!this.sockets.holdsLast) this.watch(waitMs);
      return refusalAnswer({
        status: 429,
        message: 'The answers so far were too many bytes',
        code: 'rate_limited',
        retryAfterMs: waitMs,
      });
    }
    this.repeated = true;
    return this.handOver(kept);
  }

  private handOver(kept: readonly Buffer[], end?: number): Answer {
    const { number, keptBytes } = this;
    const fate = this.sockets.next(keptBytes);
    this.watch((keptBytes / SLOWEST_BYTES_PER_SECOND) * 1_000);
    return answerOf(number, kept, end, fate);
  }

  /** The socket of an answer holds nothing of it any more. */
  private onLeft(isLast: boolean): void {
    if (isLast && this.waiting === undefined) this.watch();
    if (this.sockets.bytes > 0) return;
    this.onAllLeft?.();
    if (this.waiting !== undefined && this.frames.length === 0) this.session?.onDrain();
  }

  private wait(onGone: () => void, whenGone: WhenGone): Promise<Answer> {
    this.waiting?.(SUPERSEDED);
    return new Promise((resolve) => {
      this.waiting = resolve;
      whenGone(() => {
        if (this.waiting !== resolve) return;
        this.waiting = undefined;
        onGone();
        resolve(SUPERSEDED);
      });
    });
  }

  /** At the end of what the engine is doing now, which may write more. */
  private answerSoon(): void {
    if (this.answering || this.waiting === undefined) return;
    this.answering = true;
    queueMicrotask(() => {
      this.answering = false;
      if (this.waiting !== undefined) this.answer();
    });
  }

  /** @param end close code of the session, where nothing follows. */
  private answer(end?: number): void {
    const resolve = this.waiting;
    if (resolve === undefined) return;
    const { frames, framesBytes } = this;
    const body = frames.length === 0 ? EMPTY_ARRAY : arrayOf(frames);
    this.waiting = undefined;
    this.frames = [];
    this.framesBytes = 0;
    this.number++;
    this.answeredAt = this.deps.clock.monotonic();
    this.keep(body, framesBytes);
    resolve(this.handOver(body, end));
  }

  private keep(body: readonly Buffer[] | 'withdrawn' | undefined, bytes = 0): void {
    this.kept = body;
    this.keptBytes = bytes;
    this.repeated = false;
  }

  /** A poll has to come in time. @param moreMs for what is there to be waited for before. */
  private watch(moreMs = 0): void {
    this.timer?.cancel();
    if (this.ended) return;
    const { clock, heartbeat } = this.deps;
    this.timer = clock.schedule(heartbeat.timeoutMs + moreMs, () => this.session?.onSilent());
  }

  private stop(): void {
    this.timer?.cancel();
    this.waiting = undefined;
    this.frames = [];
    this.framesBytes = 0;
    this.keep(undefined);
  }
}

/**
 * The answer to a poll.
 *
 * @param number that the next poll acknowledges.
 * @param end close code of the session, where nothing follows.
 */
export function answerOf(number: number, body: readonly Buffer[], end?: number, fate?: AnswerFate): Answer {
  const headers = {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'Realtime-Answer': String(number),
    ...(end === undefined ? {} : { 'Realtime-End': String(end) }),
  };
  return { status: 200, headers, body, ...(fate === undefined ? {} : { fate }) };
}
