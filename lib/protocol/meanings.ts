import type { CloseName } from './close-codes.js';
import { PROTOCOL_VERSION } from './envelope.js';
import type { ErrorCode } from './error-codes.js';

/** What each error code means, for people: in `docs/errors.md`, and the message of an error that was given none. */
export const ERROR_MEANINGS: Readonly<Record<ErrorCode, string>> = {
  bad_request: 'The envelope or one of its fields is malformed.',
  validation_failed: 'The payload was refused by the application’s validation.',
  unauthorized: 'There is no valid credential.',
  token_expired: 'The credential was valid once and has expired.',
  forbidden: 'The user may not do this.',
  refused: 'The application refused.',
  banned: 'The user or address is banned.',
  muted: 'The user may read this channel but not write to it.',
  unknown_channel: 'No channel pattern of the application matches this name.',
  not_subscribed: 'The command needs this connection’s own live subscription.',
  already_subscribed: 'This connection already has, or is making, this subscription.',
  too_many_channels: 'The connection holds `limits.maxChannels` subscriptions.',
  rate_limited: 'More commands or bytes than the limit allows.',
  message_too_large: 'The message is larger than a limit.',
  conflict: 'The same id was used before with another event or payload.',
  out_of_order: 'The publish named by `after` is not in the log; this one was not appended.',
  unavailable: 'The broker cannot be reached. For a publish the outcome is unknown.',
  timeout: 'No answer in time. For a publish the outcome is unknown.',
  outcome_unknown: 'The command was sent, and its outcome can no longer be learned.',
  internal: 'The application failed. The message holds an id; the server’s log holds the rest.',
};

/** What each close code means, for people. */
export const CLOSE_MEANINGS: Readonly<Record<CloseName, string>> = {
  normal: 'Closed on purpose by the side that sent it.',
  drain: 'This node is going away; another one takes over.',
  rotate: 'Steady-state rotation that keeps the load even.',
  slow_consumer: 'The client reads more slowly than its channels write.',
  heartbeat_timeout: 'No sign of life after a ping.',
  internal: 'The server failed.',
  overloaded: 'The server sheds load.',
  broker_unavailable: 'The broker is away and the session cannot go on without it.',
  token_expired: 'The token ran out; fetch a new one, then reconnect.',
  too_many_connections: 'The user or address has too many connections.',
  unauthorized: 'A fresh token was refused, or none was given.',
  forbidden: 'The user may not connect.',
  banned: 'The user or address is banned.',
  unsupported_version: `No protocol revision in common: this server speaks ${PROTOCOL_VERSION}.`,
  protocol_error:
    'A frame that is not protocol: envelopes are expected, the first of them `hello` with an `id`.',
  message_too_large: 'A frame or message above the limit.',
  rate_abuse: 'Limits were ignored after warnings.',
  superseded: 'A newer connection of the same session took over.',
  kicked: 'Disconnected by the application or a moderator.',
  replaced: 'The user has as many connections as may be, and a newer one took the place of this one.',
};
