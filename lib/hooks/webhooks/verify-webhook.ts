import { timingSafeEqual } from 'node:crypto';
import { systemClock } from '../../core/ports/clock.js';
import { durationMs, type Duration } from '../../nest/options/duration.js';
import type { ChannelHookEvent, MemberHookEvent, OfflineHookEvent } from '../hook-event.js';
import { keyOf, SECRET_HINT } from './secrets.js';
import { ID_HEADER, SIGNATURE_HEADER, signatureOf, TIMESTAMP_HEADER, VERSION } from './signature.js';

/** Signatures of a request that are looked at. */
const MAX_SIGNATURES = 16;

/** Headers as Node, Express, Fastify or `fetch` have them. */
export type WebhookHeaders =
  Readonly<Record<string, string | readonly string[] | undefined>> | { get(name: string): string | null };

/** A request that was sent by who has the secret. Its `type` says what happened, and which `data` the event has beside its id and time. */
export type VerifiedWebhook = {
  /** The same in each attempt: what was taken once is answered with 2xx again, and changes nothing. */
  readonly id: string;
  /** When it happened, as ISO 8601. */
  readonly timestamp: string;
} & (
  | { readonly type: ChannelHookEvent['type']; readonly data: Pick<ChannelHookEvent, 'channel'> }
  | { readonly type: MemberHookEvent['type']; readonly data: Pick<MemberHookEvent, 'channel' | 'user'> }
  | { readonly type: OfflineHookEvent['type']; readonly data: Pick<OfflineHookEvent, 'user' | 'notice'> }
);

/** The request is not from who has the secret, or it is too old. */
export class WebhookVerificationError extends Error {
  /** Always `WebhookVerificationError`. */
  override readonly name = 'WebhookVerificationError';
}

/**
 * Verifies a request of {@link webhookTarget}, in the application that receives it.
 *
 * @param body as it came, before anything parsed it: `rawBody` of Nest, with `rawBody: true` in `NestFactory.create`.
 * @param secrets one, or several while they are replaced.
 * @param options.tolerance how far the time of the request may be from that of this host, either way. Default `'5m'`.
 * @throws WebhookVerificationError for a request that is to be refused with 401; also where the body is empty or `undefined`.
 * @throws RangeError for secrets that are none.
 * @throws TypeError for a body that was parsed before.
 * @example
 * @Post('hooks/realtime')
 * @HttpCode(204)
 * async take(@Req() req: RawBodyRequest<Request>): Promise<void> {
 *   const { id, type, data } = verifyWebhook(req.rawBody, req.headers, process.env.WEBHOOK_SECRET ?? '');
 *   await this.rooms.note(id, type, data);
 * }
 * @publicApi
 */
export function verifyWebhook(
  body: string | Uint8Array | undefined,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
  options: { readonly tolerance?: Duration; readonly clock?: { now(): number } } = {},
): VerifiedWebhook {
  const keys = [secrets].flat().map((secret) => {
    const key = keyOf(secret);
    if (key === undefined) throw new RangeError(`verifyWebhook: no secret of a webhook. ${SECRET_HINT}`);
    return key;
  });
  const raw = rawOf(body);
  const id = headerOf(headers, ID_HEADER);
  const timestamp = headerOf(headers, TIMESTAMP_HEADER);
  const signatures = headerOf(headers, SIGNATURE_HEADER).split(' ').slice(0, MAX_SIGNATURES);
  const toleranceMs = durationMs(options.tolerance ?? '5m', 'verifyWebhook: tolerance');
  const now = (options.clock ?? systemClock).now();
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > toleranceMs)
    throw new WebhookVerificationError('The time of the request is too far from that of this host');
  const isSigned = keys.some((key) => {
    const expected = signatureOf(key, id, timestamp, raw);
    return signatures.some((given) => isSame(given, expected));
  });
  if (!isSigned) throw new WebhookVerificationError('No signature of the request is right');
  const text = typeof raw === 'string' ? raw : Buffer.from(raw).toString('utf8');
  const { type, timestamp: at, data } = JSON.parse(text) as VerifiedWebhook;
  return { id, type, timestamp: at, data } as VerifiedWebhook;
}

/** Without `rawBody: true` Nest has no bytes to verify, and what is parsed can no longer be verified. */
function rawOf(body: unknown): string | Uint8Array {
  if (typeof body !== 'string' && !(body instanceof Uint8Array) && body !== undefined && body !== null)
    throw new TypeError(
      'verifyWebhook: the body is neither a text nor bytes. Give it as it came, before it is parsed: req.rawBody, with ' +
        'rawBody: true in NestFactory.create.',
    );
  if (body === undefined || body === null || body.length === 0)
    throw new WebhookVerificationError('The body is empty: is rawBody: true set in NestFactory.create?');
  return body;
}

function isSame(given: string, expected: Buffer): boolean {
  const prefix = `${VERSION},`;
  if (!given.startsWith(prefix)) return false;
  const bytes = Buffer.from(given.slice(prefix.length), 'base64');
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const value =
    typeof headers.get === 'function'
      ? headers.get(name)
      : (headers as Readonly<Record<string, unknown>>)[name];
  if (typeof value !== 'string' || value === '')
    throw new WebhookVerificationError(`The request has no header ${name}`);
  return value;
}
