import type { BrokerLog, LogPolicy } from '../../core/ports/broker.js';
import type { Scheduled } from '../../core/ports/clock.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { MemorySubscriber } from './channel.js';
import type { MemoryStore } from './store.js';

const UNKEPT: LogPolicy = { retain: false, size: 0, ttlMs: 0, dedupeMs: 0 };

/** Sends an event through the normal path of a store and waits for it (G20). */
export class MemoryProbe implements MemorySubscriber {
  /** Resolves to the round trip in milliseconds; rejects with `timeout` or `unavailable`. */
  readonly result: Promise<number>;
  readonly listener = {
    onEvents: (_channel: string, events: readonly { readonly id: string }[]) => this.receive(events),
    onSignal: () => undefined,
    onPresence: () => undefined,
  };
  private readonly id: string;
  private readonly startedAt: number;
  private timer: Scheduled | undefined;
  private resolve: (ms: number) => void = () => undefined;
  private reject: (error: RealtimeError) => void = () => undefined;

  constructor(
    private readonly store: MemoryStore,
    private readonly log: BrokerLog,
    private readonly channel: string,
    timeoutMs: number,
    private readonly onDone: (probe: MemoryProbe) => void,
  ) {
    this.id = store.entropy.id();
    this.startedAt = store.clock.now();
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.timer = store.clock.schedule(timeoutMs, () =>
      this.fail(new RealtimeError('timeout', `The probe did not come back within ${timeoutMs} ms`)),
    );
  }

  run(): void {
    const { channel, id, log, store } = this;
    store.subscribe(channel, this);
    void log.appendMany([
      { channel, producer: '$probe', fingerprint: '', event: { id, event: 'probe' }, policy: UNKEPT },
    ]);
  }

  fail(error: RealtimeError): void {
    this.finish();
    this.reject(error);
  }

  private receive(events: readonly { readonly id: string }[]): void {
    if (!events.some((event) => event.id === this.id)) return;
    this.finish();
    this.resolve(this.store.clock.now() - this.startedAt);
  }

  private finish(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.store.unsubscribe(this.channel, this);
    this.onDone(this);
  }
}
