import { RealtimeError } from '../../protocol/realtime-error.js';
import type { PublishResult } from '../../protocol/messages.js';
import type { AppendOutcome, AppendRequest, BrokerLog } from '../ports/broker.js';

interface Waiting {
  readonly request: AppendRequest;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: RealtimeError) => void;
}

/** Collects the appends of a turn and hands them to the broker together; each keeps its own result. */
export class AppendQueue {
  private waiting: Waiting[] = [];

  constructor(private readonly log: Pick<BrokerLog, 'appendMany'>) {}

  /** @throws RealtimeError `conflict`, `out_of_order`, `message_too_large`, `unavailable` or `timeout`. */
  append(request: AppendRequest): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      if (this.waiting.length === 0) queueMicrotask(() => this.flush());
      this.waiting.push({ request, resolve, reject });
    });
  }

  /** A broker that throws at once, against its port, must not end the process. */
  private async send(batch: readonly Waiting[]): Promise<readonly AppendOutcome[]> {
    return await this.log.appendMany(batch.map(({ request }) => request));
  }

  private flush(): void {
    const batch = this.waiting;
    this.waiting = [];
    this.send(batch).then(
      (outcomes) => batch.forEach((waiting, index) => settle(waiting, outcomes[index])),
      (error: unknown) => {
        const reason =
          error instanceof RealtimeError
            ? error
            : new RealtimeError('unavailable', undefined, { cause: error });
        for (const { reject } of batch) reject(reason);
      },
    );
  }
}

function settle({ resolve, reject }: Waiting, outcome: AppendOutcome | undefined): void {
  if (outcome === undefined) reject(new RealtimeError('unavailable'));
  else if (outcome.ok) resolve({ ...outcome.position, duplicate: outcome.duplicate });
  else reject(new RealtimeError(outcome.code));
}
