import type { ThrottledLog } from '../async/throttled-log.js';
import type { OnUnwritable } from '../outbox/encoder.js';

/** Logs what could not be written to clients, which were sent a gap instead (P25). */
export function unwritableLog(
  journal: ThrottledLog,
  patternOf: (channel: string) => string | undefined,
): OnUnwritable {
  return ({ type, channel, seq }, codec, error) =>
    journal.error(
      'unwritable',
      () => {
        const place = seq === undefined ? '' : ` ${seq}`;
        return `The ${type}${place} of a channel of ${channel && patternOf(channel)} could not be written as ${codec}, and was left out`;
      },
      error,
    );
}
