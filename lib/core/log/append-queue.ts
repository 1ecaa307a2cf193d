import { RealtimeError } from '../../protocol/realtime-error.js';
import type { PublishResult } from '../../protocol/messages.js';
import type { Clock } from '../ports/clock.js';
import type { Observer } from '../ports/observer.js';
import type { AppendOutcome, AppendRequest, Broker } from '../ports/broker.js';

interface Waiting {
  readonly request: AppendRequest;
  readonly pattern: string;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: RealtimeError) => void;
}

/** Collects the appends of a turn and hands them to the broker together; each keeps its own result. */
export class AppendQueue {
  private waiting: Waiting[] = [];

  constructor(
    private readonly broker: Pick<Broker, 'appendMany'>,
    private readonly clock: Clock,
    private readonly observer: Observer,
  ) {}

  /**
   * @param pattern of the channel's definition, for the observer.
   * @throws RealtimeError `conflict`, `out_of_order`, `unavailable` or `timeout`.
   */
  append(request: AppendRequest, pattern: string): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      if (this.waiting.length === 0) queueMicrotask(() => this.flush());
      this.waiting.push({ request, pattern, resolve, reject });
    });
  }

  /** A broker that throws at once, against its port, must not end the process. */
  private async send(batch: readonly Waiting[]): Promise<readonly AppendOutcome[]> {
    return await this.broker.appendMany(batch.map(({ request }) => request));
  }

  private flush(): void {
    const batch = this.waiting;
    this.waiting = [];
    const startedAt = this.observer.onPublish === undefined ? 0 : this.clock.monotonic();
    this.send(batch).then(
      (outcomes) => batch.forEach((waiting, index) => this.settle(waiting, outcomes[index], startedAt)),
      (error: unknown) => {
        const reason =
          error instanceof RealtimeError
            ? error
            : new RealtimeError('unavailable', undefined, { cause: error });
        for (const waiting of batch) this.fail(waiting, reason, startedAt);
      },
    );
  }

  private settle(waiting: Waiting, outcome: AppendOutcome | undefined, startedAt: number): void {
    if (outcome?.ok !== true)
      return this.fail(waiting, new RealtimeError(outcome?.code ?? 'unavailable'), startedAt);
    const { position, duplicate } = outcome;
    waiting.resolve({ ...position, duplicate });
    const { observer, clock } = this;
    observer.onPublish?.(waiting.pattern, duplicate ? 'duplicate' : 'ok', clock.monotonic() - startedAt);
  }

  private fail({ reject, pattern }: Waiting, reason: RealtimeError, startedAt: number): void {
    reject(reason);
    this.observer.onPublish?.(pattern, reason.code, this.clock.monotonic() - startedAt);
  }
}
