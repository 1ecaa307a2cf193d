import { sizeOfValue } from '../core/ports/value-size.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';
import { isRecord } from '../protocol/validation/checks.js';
import type { Schema } from './schema.js';

/** Most bytes of a body. The body parser of the application may take less. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Most findings that an answer has. */
const MAX_DETAILS = 32;
/** Most parameters of a query. */
const MAX_PARAMETERS = 64;

/** What is read of a request, which Express and Fastify have alike. */
export interface AdminRequest {
  readonly url?: string;
  readonly originalUrl?: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: unknown;
}

/**
 * The query of a request by its own text: what the application's parser makes of it depends on its settings.
 *
 * @throws RealtimeError `bad_request`, which names each wrong parameter and what it must be.
 */
export function readQuery<T>(request: AdminRequest, schema: Schema<T>): T {
  const query = new URLSearchParams(queryOf(request) ?? '');
  // Names and messages are made for each: a query of the longest length has thousands.
  if (query.size > MAX_PARAMETERS)
    throw new RealtimeError(
      'bad_request',
      `A query has at most ${MAX_PARAMETERS} parameters, and this one has ${query.size}`,
    );
  const given = new Map<string, unknown>();
  const repeated = new Set<string>();
  for (const [name, text] of query) {
    if (given.has(name)) repeated.add(name);
    const field = Object.hasOwn(schema.fields ?? {}, name) ? schema.fields?.[name] : undefined;
    given.set(name, field?.ofText === undefined ? text : field.ofText(text));
  }
  const details = [...repeated].map((name) => ({ path: name.slice(0, 64), message: 'must be given once' }));
  return checked(Object.fromEntries(given), schema, details);
}

/** What is behind the `?`; `undefined` without one. */
function queryOf({ url = '', originalUrl = url }: AdminRequest): string | undefined {
  const at = originalUrl.indexOf('?');
  return at < 0 ? undefined : originalUrl.slice(at + 1);
}

/**
 * The body of a request. JSON is demanded by its name: a form of another site cannot send that without the browser asking this
 * server first. A query is refused: nothing reads it, and what looks at the URL might take it for a path.
 *
 * @throws RealtimeError `bad_request`, `message_too_large`.
 */
export function readBody<T>(request: AdminRequest, schema: Schema<T>): T {
  const { headers, body } = request;
  if (queryOf(request) !== undefined)
    throw new RealtimeError('bad_request', 'This takes no query: send everything in the body, as JSON', {
      reason: 'query',
    });
  const type = String(headers['content-type'] ?? '').split(';', 1)[0] as string;
  if (type.trim().toLowerCase() !== 'application/json')
    throw new RealtimeError('bad_request', 'Send the body as JSON, with Content-Type: application/json', {
      reason: 'content_type',
    });
  if (Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES || sizeOfValue(body) > MAX_BODY_BYTES)
    throw new RealtimeError('message_too_large', `A body has at most ${MAX_BODY_BYTES} bytes`);
  if (!isRecord(body))
    throw new RealtimeError('bad_request', 'The body must be a JSON object; {} where nothing is to be given');
  return checked(body, schema, []);
}

function checked<T>(given: unknown, schema: Schema<T>, details: ErrorDetail[]): T {
  const value = schema.check(given, '', (detail) => {
    if (details.length < MAX_DETAILS) details.push(detail);
  });
  if (details.length === 0) return value as T;
  const all = details.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new RealtimeError('bad_request', all.slice(0, 2_000), { details });
}
