import type { PresenceEntry } from '../../../core/ports/broker.js';
import type { RedisArgument } from '../connection/commands.js';
import { encodeData } from '../wire.js';

/** What happens to one device of a member. */
export type PresenceStepKind = 'e' | 'r' | 'u' | 'l';

/** Most milliseconds of a lease: scores of sorted sets are exact well beyond it. */
const MAX_MS = 10 * 365 * 24 * 60 * 60_000;

/** One step as the script takes it. A device's name is made unique by its member's; the length keeps pairs apart. */
export function presenceStep(
  kind: PresenceStepKind,
  { member, device, generation, data }: PresenceEntry,
  ms: number,
): readonly RedisArgument[] {
  // `update` replaces the data whatever it is; the others only when there is some.
  const given = kind === 'u' || data !== undefined;
  return [
    kind,
    member,
    `${member.length}:${member}${device}`,
    generation,
    given ? 1 : 0,
    given ? encodeData(data) : '',
    Math.round(Math.min(Math.max(ms, 0), MAX_MS)),
  ];
}
