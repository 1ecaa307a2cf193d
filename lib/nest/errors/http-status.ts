import type { ErrorCode } from '../../protocol/error-codes.js';

// Where several codes share a status, the one that an application means by it. The engine's own refusals have their
// codes already and never come this way.
const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'unknown_channel',
  408: 'timeout',
  409: 'conflict',
  410: 'unknown_channel',
  413: 'message_too_large',
  422: 'validation_failed',
  429: 'rate_limited',
  503: 'unavailable',
  504: 'timeout',
};

/** The code with the meaning of an HTTP status: other 4xx are `bad_request`, everything else is `internal`. */
export function codeOfStatus(status: number): ErrorCode {
  return CODE_BY_STATUS[status] ?? (status >= 400 && status < 500 ? 'bad_request' : 'internal');
}
