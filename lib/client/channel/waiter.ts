import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ClientClock, ClientTimer } from '../clock.js';
import { abortWith, deferred, type Deferred, type WaitOptions } from '../promises.js';

/** One caller that was given a promise, until it gives up what it asked for. */
export class Waiter<Answer, Options extends WaitOptions = WaitOptions> {
  private readonly result: Deferred<Answer> = deferred();
  private readonly unwatch: () => void;
  private readonly timer: ClientTimer | undefined;
  private settled = false;

  /** @param released called when the caller gave up, or was kept waiting for too long. */
  constructor(
    readonly options: Options,
    clock: ClientClock,
    private readonly released: (waiter: Waiter<Answer, Options>) => void,
  ) {
    const { signal, timeoutMs } = options;
    this.unwatch = abortWith(signal, this.result, () => this.release());
    if (timeoutMs === undefined) return;
    this.timer = clock.schedule(timeoutMs, () => {
      this.fail(new RealtimeError('timeout', `No answer within ${timeoutMs} ms`));
      this.released(this);
    });
  }

  get promise(): Promise<Answer> {
    return this.result.promise;
  }

  /** Whether its caller has no answer yet. */
  get waits(): boolean {
    return !this.settled;
  }

  /** The signal is still watched: aborting it later gives up what was answered. */
  answer(answer: Answer): void {
    this.settle();
    this.result.resolve(answer);
  }

  /** @param quietly whether the application asked for it: a promise that it does not await is then no uncaught error. */
  fail(error: Error, quietly = false): void {
    this.settle();
    this.unwatch();
    if (quietly) this.result.ignoreRejection();
    this.result.reject(error);
  }

  /** The caller gives up what it asked for. */
  release(): void {
    this.settle();
    this.unwatch();
    this.released(this);
  }

  private settle(): void {
    this.settled = true;
    this.timer?.cancel();
  }
}
