import type { ThrottledLog } from '../async/throttled-log.js';
import type { IsExempt } from '../ports/settings.js';
import type { Session } from '../session/session.js';

export interface ExemptionDeps {
  readonly isExempt: IsExempt | undefined;
  readonly journal: Pick<ThrottledLog, 'error'>;
}

/** Whether the application leaves the session's user alone in a channel: slow mode and spam. */
export function isExempted(
  { isExempt, journal }: ExemptionDeps,
  { user }: Session,
  channel: string,
): boolean {
  if (isExempt === undefined || user === undefined) return false;
  try {
    return isExempt(user, channel) === true;
  } catch (error) {
    journal.error('exempt', () => 'moderation.isExempt failed, and its user counts as not exempt', error);
    return false;
  }
}
