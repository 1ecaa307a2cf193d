import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock } from '../ports/clock.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

/** So many times `handlerTimeout` a handler may take before a publish that is sent again no longer waits for it. */
const MAX_TIMEOUTS = 10;
const NEVER_ENDED =
  'The handler of this publish runs since it came first, and does not end. Whether it did its work is unknown';

/** What names a publish (P15), and what it says. */
export interface PublishName {
  readonly channel: string;
  readonly producer: string;
  readonly id: string;
  readonly fingerprint: string;
}

/** A share in a run. */
export interface JoinedRun {
  readonly result: MaybePromise<unknown>;
  /** The publish has been appended or refused. Called once. */
  release(): void;
}

/** One run, which all that share it are given: a share has nothing of its own. */
class Run implements JoinedRun {
  /** Who still needs it: the handler while it runs, and each publish that has its result and is not in the log yet. */
  holds: number;

  constructor(
    private readonly running: Map<string, Run>,
    private readonly key: string,
    readonly fingerprint: string,
    /** Monotonic time after which nobody may join. Who joined before has an answer one `handlerTimeout` later at the latest. */
    readonly endsAt: number,
    /** Monotonic time after which its id may name another publish (P15). */
    readonly forgottenAt: number,
    readonly result: MaybePromise<unknown>,
    /** Whether its handler has not ended. */
    public isRunning: boolean,
  ) {
    this.holds = isRunning ? 1 : 0;
  }

  release(): void {
    if (--this.holds === 0) this.remove();
  }

  remove(): void {
    // One that was forgotten may have a successor.
    if (this.running.get(this.key) === this) this.running.delete(this.key);
  }
}

/**
 * The publish handlers that run on this node, and those whose event is on its way into the log. A publish that is sent again
 * in that time, on whatever connection, shares the result: no second run begins (G4). There are no more than publishes under way,
 * and handlers that do not end: these are kept until their ids may name other publishes.
 */
export class PublishRuns {
  /** In the order in which they began. */
  private readonly running = new Map<string, Run>();

  constructor(
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly handlerTimeoutMs: number,
  ) {}

  get size(): number {
    return this.running.size;
  }

  /**
   * @param dedupeMs how long the id names this publish.
   * @param start runs the handler; not called while one runs for this publish.
   * @throws RealtimeError `conflict` where that one has another event or payload, `outcome_unknown` where it does not end.
   */
  join(publish: PublishName, dedupeMs: number, start: () => MaybePromise<unknown>): JoinedRun {
    const key = keyOf(publish);
    const now = this.clock.monotonic();
    if (this.running.size > 0) this.forget(now);
    const found = this.running.get(key);
    const known = found !== undefined && isForgotten(found, now) ? undefined : found;
    const run = known ?? this.begin(key, publish.fingerprint, now, dedupeMs, start);
    if (run.fingerprint !== publish.fingerprint) throw new RealtimeError('conflict');
    if (known !== undefined && now >= known.endsAt) throw new RealtimeError('outcome_unknown', NEVER_ENDED);
    run.holds++;
    return run;
  }

  private begin(
    key: string,
    fingerprint: string,
    now: number,
    dedupeMs: number,
    start: () => MaybePromise<unknown>,
  ): Run {
    const work = start();
    const isRunning = isPromise(work);
    // The `then` of a query builder runs the query, so it is called once, here.
    const result = isRunning ? Promise.resolve(work) : work;
    const endsAt = now + MAX_TIMEOUTS * this.handlerTimeoutMs;
    const run = new Run(this.running, key, fingerprint, endsAt, endsAt + dedupeMs, result, isRunning);
    this.running.set(key, run);
    if (isPromise(result))
      result.then(
        () => {
          run.isRunning = false;
          run.release();
        },
        // Nothing of it is appended: the next one runs the handler again. Its own hold stays, so no release takes that one's run.
        () => run.remove(),
      );
    return run;
  }

  /** Handlers that do not end, and for which nobody waits: nothing of them can be appended any more. */
  private forget(now: number): void {
    for (const [key, run] of this.running) {
      if (!isForgotten(run, now)) return;
      this.running.delete(key);
    }
  }
}

/** Whether its handler does not end, nobody waits for it, and no log would know its event any more. */
function isForgotten({ isRunning, holds, forgottenAt }: Run, now: number): boolean {
  return isRunning && holds <= 1 && now >= forgottenAt;
}

function keyOf({ channel, producer, id }: PublishName): string {
  // A channel has no blank, and with its length no two ids end differently.
  return `${channel} ${id.length} ${id}${producer}`;
}
