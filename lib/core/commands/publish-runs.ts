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
  readonly result: Promise<unknown>;
}

/**
 * The publish handlers that run on this node. A publish that is sent again while its handler runs, on whatever connection, waits
 * for that run and shares its result: no second one begins (G4). There are no more than handlers that run.
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
  join(publish: PublishName, start: () => MaybePromise<unknown>): MaybePromise<unknown> {
    const current = this.running.size === 0 ? undefined : this.running.get(keyOf(publish));
    if (current !== undefined) {
      if (current.fingerprint !== publish.fingerprint) throw new RealtimeError('conflict');
      return current.result;
    }
    const work = start();
    if (!isPromise(work)) return work;
    // The `then` of a query builder runs the query, so it is called once, here.
    const result = Promise.resolve(work);
    const key = keyOf(publish);
    this.running.set(key, { fingerprint: publish.fingerprint, result });
    const forget = (): void => void this.running.delete(key);
    result.then(forget, forget);
    return result;
  }
}

function keyOf({ channel, producer, id }: PublishName): string {
  // A channel has no blank, and with its length no two ids end differently.
  return `${channel} ${id.length} ${id}${producer}`;
}
