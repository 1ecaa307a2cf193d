import { withTimeout } from '../../core/async/with-timeout.js';
import type { BrokerLog, LogPolicy } from '../../core/ports/broker.js';
import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';
import { RealtimeError } from '../../protocol/realtime-error.js';

const UNKEPT: LogPolicy = { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs: 0 };

interface OpenProbe {
  readonly resolve: () => void;
  readonly reject: (error: RealtimeError) => void;
}

/** Appends events to a log of this node's own and waits until they come back (G20). */
export class Probes {
  /** To be subscribed to {@link channel} while a probe runs. */
  readonly listener = {
    onEvents: (_channel: string, events: readonly ChannelEvent[]): void => {
      for (const { id } of events) this.open.get(id)?.resolve();
    },
  };
  private readonly open = new Map<string, OpenProbe>();

  constructor(
    readonly channel: string,
    private readonly log: Pick<BrokerLog, 'appendMany'>,
    private readonly clock: Clock,
    private readonly entropy: Entropy,
    /** Why the last append failed, for people; `undefined` where that is not known. Outcomes do not say it, as clients are sent those. */
    private readonly why: () => string | undefined = () => undefined,
  ) {}

  /** Number of probes that have not come back. */
  get size(): number {
    return this.open.size;
  }

  /** @returns The round trip in milliseconds. @throws RealtimeError `timeout` or `unavailable`. */
  async run(timeoutMs: number): Promise<number> {
    const { clock } = this;
    const id = this.entropy.id();
    const startedAt = clock.monotonic();
    const back = new Promise<void>((resolve, reject) => this.open.set(id, { resolve, reject }));
    this.append(id).catch((error: RealtimeError) => this.open.get(id)?.reject(error));
    try {
      await withTimeout(back, timeoutMs, clock, `The probe did not come back within ${timeoutMs} ms`);
      return clock.monotonic() - startedAt;
    } finally {
      this.open.delete(id);
    }
  }

  /** Fails every probe that has not come back. */
  close(error: RealtimeError): void {
    for (const { reject } of this.open.values()) reject(error);
  }

  private async append(id: string): Promise<void> {
    const [outcome] = await this.log.appendMany([
      {
        channel: this.channel,
        producer: '$probe',
        fingerprint: '',
        event: { id, event: 'probe' },
        bytes: id.length + 'probe'.length,
        policy: UNKEPT,
      },
    ]);
    if (outcome?.ok === false) throw new RealtimeError(outcome.code, this.why());
  }
}
