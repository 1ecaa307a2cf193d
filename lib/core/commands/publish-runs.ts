import { RealtimeError } from '../../protocol/realtime-error.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

/** What names a publish (P15), and what it says. */
export interface PublishName {
  readonly channel: string;
  readonly producer: string;
  readonly id: string;
  readonly fingerprint: string;
}

interface Run {
  readonly fingerprint: string;
  readonly result: MaybePromise<unknown>;
  /** Who still needs it: the handler while it runs, and each publish that has its result and is not in the log yet. */
  holds: number;
}

/** A share in a run. */
export interface JoinedRun {
  readonly result: MaybePromise<unknown>;
  /** The publish has been appended or refused. Called once. */
  release(): void;
}

/**
 * The publish handlers that run on this node, and those whose event is on its way into the log. A publish that is sent again
 * in that time, on whatever connection, shares the result: no second run begins (G4). There are no more than publishes under way.
 */
export class PublishRuns {
  private readonly running = new Map<string, Run>();

  get size(): number {
    return this.running.size;
  }

  /**
   * @param start runs the handler; not called while one runs for this publish.
   * @throws RealtimeError `conflict` where that one has another event or payload.
   */
  join(publish: PublishName, start: () => MaybePromise<unknown>): JoinedRun {
    const key = keyOf(publish);
    const run = this.running.get(key) ?? this.begin(key, publish.fingerprint, start);
    if (run.fingerprint !== publish.fingerprint) throw new RealtimeError('conflict');
    run.holds++;
    return { result: run.result, release: () => this.release(key, run) };
  }

  private begin(key: string, fingerprint: string, start: () => MaybePromise<unknown>): Run {
    const work = start();
    if (!isPromise(work)) {
      const run = { fingerprint, result: work, holds: 0 };
      this.running.set(key, run);
      return run;
    }
    // The `then` of a query builder runs the query, so it is called once, here.
    const result = Promise.resolve(work);
    const run = { fingerprint, result, holds: 1 };
    this.running.set(key, run);
    result.then(
      () => this.release(key, run),
      // Nothing of it is appended: the next one runs the handler again. Its own hold stays, so no release takes that one's run.
      () => this.running.delete(key),
    );
    return run;
  }

  private release(key: string, run: Run): void {
    if (--run.holds === 0) this.running.delete(key);
  }
}

function keyOf({ channel, producer, id }: PublishName): string {
  // A channel has no blank, and with its length no two ids end differently.
  return `${channel} ${id.length} ${id}${producer}`;
}
