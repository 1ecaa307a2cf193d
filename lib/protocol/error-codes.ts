/**
 * The one catalogue of error codes (protocol §6). The TypeScript union, the table in `docs/errors.md`
 * and the labels of metrics are derived from it; nothing else lists the codes.
 */
export const ERROR_CODES = {
  bad_request: {
    retryable: false,
    http: 400,
    meaning: 'The envelope or one of its fields is malformed.',
    remedy: 'Correct the field named in `details` and send a new command.',
  },
  validation_failed: {
    retryable: false,
    http: 422,
    meaning: 'The payload was refused by the application’s validation.',
    remedy: 'Show `details[]` to the user; each entry has a `path` and a `message`.',
  },
  unauthorized: {
    retryable: false,
    http: 401,
    meaning: 'There is no valid credential.',
    remedy: 'Fetch a fresh token and connect, or send `auth`.',
  },
  token_expired: {
    retryable: true,
    http: 401,
    meaning: 'The credential was valid once and has expired.',
    remedy: 'Fetch a fresh token, then try again.',
  },
  forbidden: {
    retryable: false,
    http: 403,
    meaning: 'The user may not do this.',
    remedy: 'Do not retry; ask the owner of the channel for access.',
  },
  refused: {
    retryable: false,
    http: 403,
    meaning: 'The application refused.',
    remedy: 'Decide by `reason` and `data`, which are the application’s.',
  },
  banned: {
    retryable: false,
    http: 403,
    meaning: 'The user or address is banned.',
    remedy: 'Wait for the ban to end (`retryAfterMs` where it has an end).',
  },
  muted: {
    retryable: false,
    http: 403,
    meaning: 'The user may read this channel but not write to it.',
    remedy: 'Wait for the mute to end (`retryAfterMs` where it has an end).',
  },
  unknown_channel: {
    retryable: false,
    http: 404,
    meaning: 'No channel pattern of the application matches this name.',
    remedy: 'Check the name against the application’s `@Channel()` patterns.',
  },
  not_subscribed: {
    retryable: false,
    http: 409,
    meaning: 'The command needs this connection’s own live subscription.',
    remedy: 'Subscribe first.',
  },
  already_subscribed: {
    retryable: false,
    http: 409,
    meaning: 'This connection already has, or is making, this subscription.',
    remedy: 'Use the subscription that exists.',
  },
  too_many_channels: {
    retryable: false,
    http: 429,
    meaning: 'The connection holds `limits.maxChannels` subscriptions.',
    remedy: 'Unsubscribe from a channel first.',
  },
  rate_limited: {
    retryable: true,
    http: 429,
    meaning: 'More commands or bytes than the limit allows.',
    remedy: 'Wait `retryAfterMs`; stay below `limits.ratePerSecond` of `welcome`.',
  },
  message_too_large: {
    retryable: false,
    http: 413,
    meaning: 'The message is larger than a limit.',
    remedy:
      'Send less: of a command at most `limits.maxMessageBytes` of `welcome`, of an event `limits.maxEventBytes`.',
  },
  conflict: {
    retryable: false,
    http: 409,
    meaning: 'The same id was used before with another event or payload.',
    remedy: 'Use a new id for new content.',
  },
  out_of_order: {
    retryable: true,
    http: 409,
    meaning: 'The publish named by `after` is not in the log; this one was not appended.',
    remedy: 'Send the earlier publish again first, then this one.',
  },
  unavailable: {
    retryable: true,
    http: 503,
    meaning: 'The broker cannot be reached. For a publish the outcome is unknown.',
    remedy: 'Send the same command with the same id again after `retryAfterMs`.',
  },
  timeout: {
    retryable: true,
    http: 504,
    meaning: 'No answer in time. For a publish the outcome is unknown.',
    remedy: 'Send the same command with the same id again.',
  },
  outcome_unknown: {
    retryable: false,
    http: 504,
    meaning: 'The command was sent, and its outcome can no longer be learned.',
    remedy: 'Read the state (history or a request) before doing it again.',
  },
  internal: {
    retryable: false,
    http: 500,
    meaning: 'The application failed. The message holds an id; the server’s log holds the rest.',
    remedy: 'Report the id to the operator.',
  },
} as const satisfies Record<string, ErrorCodeEntry>;

interface ErrorCodeEntry {
  /** Whether the same command can succeed later. */
  readonly retryable: boolean;
  /** The HTTP status with the same meaning, for refusals before an upgrade and for the mapping of `HttpException`. */
  readonly http: number;
  readonly meaning: string;
  readonly remedy: string;
}

/** A stable error code (protocol §6). */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Whether a value is an error code of this version; a newer server may send others. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}

/** The file and heading that explain a code, relative to the package: the `docs` field of error messages. */
export function docsOf(code: ErrorCode): string {
  return `nestjs-realtime/docs/errors.md#${code}`;
}
