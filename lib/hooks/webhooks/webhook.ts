import type { Clock } from '../../core/ports/clock.js';
import { VERSION } from '../../core/ports/version.js';
import { codeOf, retryAfterOf } from '../../nest/auth/bounded-request.js';
import type { WebhookFacts } from '../../nest/hooks.js';
import { urlProblem } from '../../nest/options/jwt-options.js';
import { DeliveryFailure } from '../delivery-failure.js';
import type { HookEvent } from '../hook-event.js';
import type { DeliveryTarget } from '../target-queue.js';
import { messageOf, type WebhookMessage } from './message.js';
import type { WebhookSettings } from './webhook-options.js';

/** What is read of an answer, so that its connection can be used again: bytes, and milliseconds. Nobody looks at it. */
const MAX_READ_BYTES = 8 * 1024;
const MAX_READ_MS = 1_000;
/** Longest pause that a receiver may ask for, in milliseconds. */
const MAX_RETRY_AFTER_MS = 600_000;
const GONE = 410;

export interface WebhookDeps {
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
  readonly fetch: typeof fetch;
}

/** Sends events to an address, signed as the Standard Webhooks specification has it. */
export class Webhook implements DeliveryTarget {
  readonly name: string;
  readonly types: ReadonlySet<HookEvent['type']>;
  readonly timeoutMs: number;
  readonly maxAgeMs: number;

  constructor(
    private readonly settings: WebhookSettings,
    private readonly deps: WebhookDeps,
  ) {
    this.name = settings.name;
    this.types = settings.types;
    this.timeoutMs = settings.timeoutMs;
    this.maxAgeMs = settings.maxAgeMs;
  }

  /** For the doctor. */
  get facts(): WebhookFacts {
    const { name, url, keys, timeoutMs, maxAgeMs } = this.settings;
    // What needs no permission is on the host itself.
    return { name, isPlain: urlProblem(url, false) !== undefined, keys, timeoutMs, maxAgeMs };
  }

  /** @throws DeliveryFailure where the answer is not of the kind 2xx, or none came. */
  async deliver(event: HookEvent, signal: AbortSignal): Promise<void> {
    const response = await this.send(this.messageOf(event), signal);
    await this.drain(response);
    const { status, headers } = response;
    if (response.ok) return;
    const retryAfterMs =
      status === 429 || status === 503
        ? retryAfterOf(headers.get('retry-after'), MAX_RETRY_AFTER_MS)
        : undefined;
    const redirect = status >= 300 && status < 400 ? ', and redirects are not followed (url)' : '';
    throw new DeliveryFailure(`it answered with status ${status}${redirect}`, {
      retryAfterMs,
      ends: status === GONE ? 'target' : undefined,
    });
  }

  private messageOf(event: HookEvent): WebhookMessage {
    try {
      return messageOf(event, this.settings.keys, this.deps.clock);
    } catch (cause) {
      throw new DeliveryFailure('it cannot be written as JSON', { ends: 'event', cause });
    }
  }

  private async send({ body, headers }: WebhookMessage, signal: AbortSignal): Promise<Response> {
    try {
      return await this.deps.fetch(this.settings.url, {
        method: 'POST',
        body,
        headers: {
          'user-agent': `nestjs-realtime/${VERSION}`,
          ...this.settings.headers,
          'content-type': 'application/json',
          ...headers,
        },
        redirect: 'manual',
        signal,
      });
    } catch (cause) {
      const why = signal.aborted ? 'the attempt was ended' : codeOf(cause);
      throw new DeliveryFailure(`it could not be reached (${why})`, { cause });
    }
  }

  /** What happens to the rest of an answer changes nothing: its status has come. */
  private async drain({ body }: Response): Promise<void> {
    if (body === null) return;
    const reader = body.getReader();
    const cancel = (): void => void reader.cancel().catch(() => undefined);
    const timer = this.deps.clock.schedule(MAX_READ_MS, cancel);
    try {
      for (let bytes = 0; bytes <= MAX_READ_BYTES;) {
        const { done, value } = await reader.read();
        if (done) return;
        bytes += value.byteLength;
      }
      cancel();
    } catch {
      // The connection broke, or the attempt was ended.
    } finally {
      timer.cancel();
    }
  }
}
