import { isChannelName } from '../protocol/channel-name.js';
import { MAX_ID_LENGTH } from '../protocol/envelope.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';
import { matching, object, text, type Check, type Field } from '../protocol/validation/checks.js';
import { EVENT_FIELDS, HISTORY_FIELDS } from '../protocol/validation/command-schemas.js';

const { event, key, trace, meta } = EVENT_FIELDS;
const user: Field = { check: matching((value) => typeof value === 'string', 'must be a string') };
const { limit } = HISTORY_FIELDS;

/**
 * What `RealtimeService` is given, where a type alone does not hold: the application may be JavaScript, or have its ids as
 * numbers from a database. Whatever gets through is put on the wire as it is (P5).
 */
const CHECKS = {
  publish: object({ event, id: { check: text(MAX_ID_LENGTH) }, key, user, trace, meta }),
  signal: object({ event, user }),
  history: object(HISTORY_FIELDS),
  members: object({ cursor: user, limit }),
  revoke: object({
    channel: { check: matching(isChannelName, 'must be a channel name, such as "rooms.42"') },
  }),
} satisfies Record<string, Check>;

/** @throws RealtimeError `bad_request` that names what is wrong, and what it must be. */
export function checkInput(method: keyof typeof CHECKS, given: Readonly<Record<string, unknown>>): void {
  const details: ErrorDetail[] = [];
  CHECKS[method](given, '', (detail) => details.push(detail));
  if (details.length === 0) return;
  const all = details.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new RealtimeError('bad_request', `${method}: ${all}`, { details });
}
