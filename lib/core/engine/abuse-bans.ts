import { RateLimit } from '../access/rate-limit.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { BrokerBus } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { AbuseRecord } from '../ports/control.js';
import type { ControlApplier } from './control-applier.js';

/** Records of abuse that a node sends to the others at once. Whoever has many addresses could fill their log. */
const MAX_RECORDS = 100;
/** How long until it may send one more, in milliseconds. */
const RECORD_EVERY_MS = 100;

export interface AbuseBansDeps {
  readonly applier: Pick<ControlApplier, 'apply'>;
  readonly bus: Pick<BrokerBus, 'control'>;
  readonly clock: Clock;
  readonly journal: Pick<ThrottledLog, 'warn'>;
}

/** Refuses clients that keep exceeding their rates: on this node at once, and on the others, where the broker reaches them (G16). */
export class AbuseBans {
  private readonly rate = new RateLimit(1_000 / RECORD_EVERY_MS, MAX_RECORDS);
  private fullAt = 0;

  constructor(private readonly deps: AbuseBansDeps) {}

  readonly ban = (record: AbuseRecord): void => {
    const { applier, bus, clock, journal } = this.deps;
    void applier.apply(record);
    const fullAt = this.rate.take(this.fullAt, 1, clock.monotonic());
    if (fullAt === undefined) {
      journal.warn(
        'abuse_records',
        () => 'Bans for abuse are too many to tell other nodes of: this node alone applies them',
      );
      return;
    }
    this.fullAt = fullAt;
    bus
      .control(record)
      .catch((error: unknown) =>
        journal.warn('abuse_records', () => `Other nodes may not know of a ban for abuse: ${String(error)}`),
      );
  };
}
