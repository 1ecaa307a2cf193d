/**
 * The one catalogue of error codes (protocol §6). The TypeScript union, the table in `docs/errors.md` and the labels of metrics
 * are derived from it; nothing else lists the codes. What they mean is in `meanings.ts`, which a page need not carry.
 */
export const ERROR_CODES = {
  bad_request: { retryable: false },
  validation_failed: { retryable: false },
  unauthorized: { retryable: false },
  token_expired: { retryable: true },
  forbidden: { retryable: false },
  refused: { retryable: false },
  banned: { retryable: false },
  muted: { retryable: false },
  unknown_channel: { retryable: false },
  not_subscribed: { retryable: false },
  already_subscribed: { retryable: false },
  too_many_channels: { retryable: false },
  rate_limited: { retryable: true },
  message_too_large: { retryable: false },
  conflict: { retryable: false },
  out_of_order: { retryable: true },
  unavailable: { retryable: true },
  timeout: { retryable: true },
  outcome_unknown: { retryable: false },
  internal: { retryable: false },
} as const satisfies Record<
  string,
  {
    /** Whether the same command can succeed later. */
    readonly retryable: boolean;
  }
>;

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
