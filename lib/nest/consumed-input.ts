import { isUserId, USER_ID_RULE } from '../core/ports/user-id.js';
import { isChannelName, isReservedChannel } from '../protocol/channel-name.js';
import { MAX_ID_LENGTH } from '../protocol/envelope.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';
import { integer, matching, object, text } from '../protocol/validation/checks.js';
import { EVENT_FIELDS } from '../protocol/validation/command-schemas.js';

/** Names may come from whoever writes the records, so those of the library itself are refused, but for the channels of users. */
function isConsumable(name: unknown): boolean {
  return isChannelName(name) && (!isReservedChannel(name) || name.startsWith('$user.'));
}

/** What `to` of a consumer returns, beside the payload: the application may be JavaScript, or take names from its records. */
const CONSUMED = object({
  ...EVENT_FIELDS,
  channel: {
    check: matching(isConsumable, 'must be the name of a channel, and none of the library’s own'),
    required: true,
  },
  id: { check: text(MAX_ID_LENGTH) },
  ttl: { check: integer(1) },
  user: { check: matching(isUserId, `must be ${USER_ID_RULE}`) },
});

/** @throws RealtimeError `bad_request` that says where and what is wrong */
export function checkConsumed(given: Readonly<Record<string, unknown>>): void {
  const details: ErrorDetail[] = [];
  CONSUMED(given, '', (detail) => details.push(detail));
  if (details.length === 0) return;
  const all = details.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new RealtimeError('bad_request', `to: ${all}`, { details });
}
