/**
 * The one catalogue of error codes (protocol §6). The TypeScript union, the table in `docs/errors.md`
 * and the labels of metrics are derived from it; nothing else lists the codes. What to do is in that table only, which a page
 * need not carry.
 */
export const ERROR_CODES = {
  bad_request: {
    retryable: false,
    meaning: 'The envelope or one of its fields is malformed.',
  },
  validation_failed: {
    retryable: false,
    meaning: 'The payload was refused by the application’s validation.',
  },
  unauthorized: {
    retryable: false,
    meaning: 'There is no valid credential.',
  },
  token_expired: {
    retryable: true,
    meaning: 'The credential was valid once and has expired.',
  },
  forbidden: {
    retryable: false,
    meaning: 'The user may not do this.',
  },
  refused: {
    retryable: false,
    meaning: 'The application refused.',
  },
  banned: {
    retryable: false,
    meaning: 'The user or address is banned.',
  },
  muted: {
    retryable: false,
    meaning: 'The user may read this channel but not write to it.',
  },
  unknown_channel: {
    retryable: false,
    meaning: 'No channel pattern of the application matches this name.',
  },
  not_subscribed: {
    retryable: false,
    meaning: 'The command needs this connection’s own live subscription.',
  },
  already_subscribed: {
    retryable: false,
    meaning: 'This connection already has, or is making, this subscription.',
  },
  too_many_channels: {
    retryable: false,
    meaning: 'The connection holds `limits.maxChannels` subscriptions.',
  },
  rate_limited: {
    retryable: true,
    meaning: 'More commands or bytes than the limit allows.',
  },
  message_too_large: {
    retryable: false,
    meaning: 'The message is larger than a limit.',
  },
  conflict: {
    retryable: false,
    meaning: 'The same id was used before with another event or payload.',
  },
  out_of_order: {
    retryable: true,
    meaning: 'The publish named by `after` is not in the log; this one was not appended.',
  },
  unavailable: {
    retryable: true,
    meaning: 'The broker cannot be reached. For a publish the outcome is unknown.',
  },
  timeout: {
    retryable: true,
    meaning: 'No answer in time. For a publish the outcome is unknown.',
  },
  outcome_unknown: {
    retryable: false,
    meaning: 'The command was sent, and its outcome can no longer be learned.',
  },
  internal: {
    retryable: false,
    meaning: 'The application failed. The message holds an id; the server’s log holds the rest.',
  },
} as const satisfies Record<string, ErrorCodeEntry>;

interface ErrorCodeEntry {
  /** Whether the same command can succeed later. */
  readonly retryable: boolean;
  readonly meaning: string;
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
