import { systemClock } from '../../core/ports/clock.js';
import type { HookTarget } from '../hook-event.js';
import { webhookSettings, type WebhookOptions } from './webhook-options.js';
import { Webhook } from './webhook.js';

/**
 * Sends events to an address over HTTP, as the [Standard Webhooks](https://www.standardwebhooks.com) specification has it: a POST
 * request of JSON, `{ type, timestamp, data }`, with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`. The id is the
 * same in each attempt; {@link verifyWebhook} and the libraries of the specification verify the signature.
 *
 * An answer of the kind 2xx is a success, whatever follows its status. Anything else is tried again, the events of a channel in order,
 * until the event is older than `maxAge`; `Retry-After` of 429 and 503 is honoured, up to ten minutes. After 410 the address gets nothing more.
 *
 * @throws RealtimeBootError for options that cannot work, with the remedy.
 * @example
 * webhookTarget({
 *   url: 'https://billing.example.com/hooks/realtime',
 *   secret: process.env.WEBHOOK_SECRET ?? '',
 *   events: ['channel.occupied', 'channel.vacated'],
 * });
 * @publicApi
 */
export function webhookTarget(options: WebhookOptions): HookTarget {
  // Looked up at each call: a test may replace it.
  const fetch: typeof globalThis.fetch = (input, init) => globalThis.fetch(input, init);
  return new Webhook(webhookSettings(options), { clock: systemClock, fetch });
}
