import type { BanRecord, LiftRecord, RestrictRecord, UnbanRecord } from '../../core/ports/control.js';
import type { RestrictionName } from '../../core/ports/moderation.js';

/** The restriction that a record is about: a ban of a user everywhere has a record of its own. */
export function restrictionOf(
  record: BanRecord | RestrictRecord | LiftRecord | UnbanRecord,
): RestrictionName {
  return record.kind === 'ban' || record.kind === 'unban'
    ? { act: 'ban', whom: { of: 'user', id: record.user } }
    : record;
}
