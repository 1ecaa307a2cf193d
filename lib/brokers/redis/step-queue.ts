import { bytesOf, type RedisArgument } from './connection/commands.js';
import { unavailable } from './errors.js';
import type { RedisSettings } from './settings.js';

/** Most steps in one script call. */
const BATCH = 200;
/** Most script calls with steps that are under way at once: what is published finds its turn between them. */
const UNDER_WAY = 4;

/** How many of the steps fit into one script call; at least one. @param maxBytes of a call. @param most steps of a call. */
export function fitting(
  steps: readonly { readonly bytes: number }[],
  maxBytes: number,
  most = BATCH,
): number {
  let count = 0;
  let bytes = 0;
  for (const step of steps) {
    bytes += step.bytes;
    if (count === most || (count > 0 && bytes > maxBytes)) break;
    count += 1;
  }
  return count;
}

/** Lets few script calls be under way at once; the others wait for their turn, in the order in which they came. */
export class ScriptWindow {
  private underWay = 0;
  private readonly waiting: (() => void)[] = [];

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.underWay < UNDER_WAY) this.underWay += 1;
    else await new Promise<void>((begin) => this.waiting.push(begin));
    try {
      return await call();
    } finally {
      const next = this.waiting.shift();
      // The turn is handed on.
      if (next === undefined) this.underWay -= 1;
      else next();
    }
  }
}

export interface Step {
  /** Keys of its own; none where the steps of a lane share their keys. */
  readonly keys: readonly string[];
  readonly args: readonly RedisArgument[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Steps by lane, a channel or a partition. Of a lane one call at a time, so that they take effect in their order; what waits travels together. */
export class StepQueue<L> {
  private readonly waiting = new Map<L, Step[]>();
  /** Settles when a lane has no more steps. */
  private readonly lanes = new Map<L, Promise<void>>();
  private queued = 0;
  private queuedBytes = 0;

  /**
   * @param what the steps change, as errors name it.
   * @param write carries out the steps of one call. It may reject some of them itself.
   * @param most steps of a call.
   */
  constructor(
    private readonly what: string,
    private readonly settings: Pick<RedisSettings, 'maxQueued' | 'maxQueuedBytes' | 'maxBatchBytes'>,
    private readonly write: (lane: L, batch: readonly Step[]) => Promise<void>,
    private readonly most = BATCH,
  ) {}

  /** @throws RealtimeError `unavailable` where too many wait, or what `write` throws. */
  add(lane: L, keys: readonly string[], args: readonly RedisArgument[]): Promise<void> {
    const bytes = bytesOf([...keys, ...args]);
    const { maxQueued, maxQueuedBytes } = this.settings;
    if (this.queued >= maxQueued || (this.queued > 0 && this.queuedBytes + bytes > maxQueuedBytes))
      return Promise.reject(unavailable(`${this.queued} changes of ${this.what} wait for Redis already`));
    this.queued += 1;
    this.queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      const step = { keys, args, bytes, resolve, reject };
      const waiting = this.waiting.get(lane);
      if (waiting !== undefined) {
        waiting.push(step);
        return;
      }
      const steps = [step];
      this.waiting.set(lane, steps);
      const turn = new Promise<void>((begin) => setImmediate(begin));
      this.lanes.set(
        lane,
        turn.then(() => this.work(lane, steps)),
      );
    });
  }

  /** Resolves when all lanes have ended that had begun. Never rejects. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.lanes.values());
  }

  private async work(lane: L, steps: Step[]): Promise<void> {
    while (steps.length > 0) {
      const batch = steps.splice(0, fitting(steps, this.settings.maxBatchBytes, this.most));
      this.queued -= batch.length;
      for (const { bytes } of batch) this.queuedBytes -= bytes;
      try {
        await this.write(lane, batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.waiting.delete(lane);
    this.lanes.delete(lane);
  }
}
