import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { AppendRequest, LogPolicy } from '../../core/ports/broker.js';
import type { Scheduled } from '../../core/ports/clock.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { RedisAppends } from './append/appends.js';
import { commandError, unanswered, unavailable } from './errors.js';
import { PROBE_CHANNELS } from './keys.js';
import type { RedisSettings } from './settings.js';

const UNKEPT: LogPolicy = { retain: false, size: 0, ttlMs: 0, dedupeMs: 0 };

interface OpenProbe {
  readonly startedAt: number;
  readonly timer: Scheduled;
  readonly resolve: (ms: number) => void;
  readonly reject: (error: RealtimeError) => void;
}

/** Appends events to a log of this node's own and waits until pub/sub brings them back (G20). */
export class RedisProbes {
  readonly listener = {
    onEvents: (_channel: string, events: readonly ChannelEvent[]) => {
      for (const { id } of events) this.arrived(id);
    },
    onSignal: () => undefined,
    onPresence: () => undefined,
  };
  channel = '';
  private readonly open = new Map<string, OpenProbe>();

  constructor(
    private readonly appends: RedisAppends,
    private readonly settings: RedisSettings,
  ) {}

  start(node: string): void {
    this.channel = `${PROBE_CHANNELS}${node}`;
  }

  run(timeoutMs: number): Promise<number> {
    const { clock, entropy } = this.settings;
    const id = entropy.id();
    const { channel } = this;
    const request: AppendRequest = {
      channel,
      producer: '$probe',
      fingerprint: '',
      event: { id, event: 'probe' },
      policy: UNKEPT,
    };
    return new Promise((resolve, reject) => {
      const timer = clock.schedule(timeoutMs, () =>
        this.fail(id, unanswered(`The probe did not come back within ${timeoutMs} ms`)),
      );
      this.open.set(id, { startedAt: clock.monotonic(), timer, resolve, reject });
      this.appends.append([request]).then(
        ([outcome]) => {
          if (outcome?.ok === false) this.fail(id, new RealtimeError(outcome.code));
        },
        (error: unknown) => this.fail(id, commandError(error)),
      );
    });
  }

  close(): void {
    for (const id of [...this.open.keys()]) this.fail(id, unavailable('The broker was closed'));
  }

  private arrived(id: string): void {
    const probe = this.open.get(id);
    if (probe === undefined) return;
    this.open.delete(id);
    probe.timer.cancel();
    probe.resolve(this.settings.clock.monotonic() - probe.startedAt);
  }

  private fail(id: string, error: RealtimeError): void {
    const probe = this.open.get(id);
    if (probe === undefined) return;
    this.open.delete(id);
    probe.timer.cancel();
    probe.reject(error);
  }
}
