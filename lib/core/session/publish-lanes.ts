import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

/** The last publish to a channel that is under way. */
interface Tail {
  readonly id: string;
  readonly done: Promise<void>;
}

/**
 * Keeps a connection's publishes to one channel in the order sent (P16): the handler of each runs when the publish
 * before it has been handed to the broker or refused. A publish that is the first runs at once, without a promise.
 */
export class PublishLanes {
  /** Made while a publish is under way: most connections never publish, and none does all the time. */
  private tails: Map<string, Tail> | undefined;

  /** Id of the publish that the next one to the channel would wait for. */
  last(channel: string): string | undefined {
    return this.tails?.get(channel)?.id;
  }

  /**
   * @param id of the publish.
   * @param step settles when the publish has its place in the order; it must not fail.
   * @returns a promise while the publish waits for its place.
   */
  run(channel: string, id: string, step: () => MaybePromise<void>): MaybePromise<void> {
    const tail = this.tails?.get(channel);
    const result = tail === undefined ? step() : tail.done.then(step);
    if (!isPromise(result)) return;
    const tails = (this.tails ??= new Map<string, Tail>());
    const done: Promise<void> = result.finally(() => {
      if (tails.get(channel)?.done === done) tails.delete(channel);
      if (tails.size === 0 && this.tails === tails) this.tails = undefined;
    });
    tails.set(channel, { id, done });
    return done;
  }
}
