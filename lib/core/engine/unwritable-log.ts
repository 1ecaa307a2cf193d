import type { OnUnwritable } from '../outbox/encoder.js';
import type { EnginePorts } from '../ports/settings.js';

/** Shortest time between two lines of the log, in milliseconds. */
const INTERVAL_MS = 10_000;

/** Logs what could not be written to clients, which were sent a gap instead (P25): at most a line per interval. */
export class UnwritableLog {
  private loggedAt = -Infinity;
  private unlogged = 0;

  constructor(private readonly ports: Pick<EnginePorts, 'clock' | 'logger'>) {}

  readonly note: OnUnwritable = ({ type, channel, seq }, codec, error) => {
    const { clock, logger } = this.ports;
    const now = clock.monotonic();
    if (now - this.loggedAt < INTERVAL_MS) {
      this.unlogged++;
      return;
    }
    const others = this.unlogged === 0 ? '' : ` (${this.unlogged} more since the last line)`;
    const place = seq === undefined ? '' : ` ${seq}`;
    logger.error(
      `The ${type}${place} of channel ${JSON.stringify(channel)} could not be written as ${codec}, and was left out${others}`,
      error,
    );
    this.loggedAt = now;
    this.unlogged = 0;
  };
}
