import type { Envelope } from '../protocol/envelope.js';
import type { PublishResult, RetryPolicy } from '../protocol/messages.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { exponentialDelay } from './backoff.js';
import type { ClientTimer } from './clock.js';
import type { Wire } from './connection/connection.js';
import { about, describe, errorFromPayload, outcomeUnknown } from './errors.js';
import type { ClientSettings } from './options.js';
import type { Pacer } from './pacer.js';
import { abortWith, deferred } from './promises.js';
import {
  envelopeOf,
  publishResultOf,
  serializePublish,
  type PublishEntry,
  type PublishInput,
} from './publish-entry.js';

/** The last retry must arrive inside the server's dedupe window, not only leave inside it. */
const MAX_MARGIN_MS = 5_000;

/** What the queue needs. */
export interface PublishQueueDeps extends Pick<
  ClientSettings,
  'clock' | 'random' | 'codec' | 'log' | 'maxQueuedPublishes' | 'maxQueuedBytes' | 'publishTimeoutMs'
> {
  readonly pacer: Pacer;
  readonly wire: () => Wire | undefined;
  /** The policy that the server announced last. */
  readonly retry: () => RetryPolicy;
}

/**
 * Keeps publishes until they are acknowledged (P17), also through reconnects. They are sent again with the same id, in
 * the same order per channel, each naming its unacknowledged predecessor in `after`, and within the server's rate. One
 * that has become so old that the server could take it for a new publish fails with `outcome_unknown`.
 */
export type PublishQueue = ReturnType<typeof createPublishQueue>;

export function createPublishQueue(deps: PublishQueueDeps) {
  const { clock, codec, log, pacer, random, retry, wire, maxQueuedPublishes, maxQueuedBytes } = deps;
  const entries = new Map<string, PublishEntry>();
  /** The newest entry of each channel. */
  const newest = new Map<string, PublishEntry>();
  /** Entries that are not in flight. While there are none, nothing has to be looked for. */
  let unsent = 0;
  let queuedBytes = 0;
  let window = Infinity;
  /** After `rate_limited`: nothing is sent before this moment. */
  let pausedUntil = 0;
  let pumpTimer: ClientTimer | undefined;
  let sweepTimer: ClientTimer | undefined;
  let sweepAt = Infinity;

  /** @throws RealtimeError when the queue cannot take the publish. */
  function publish(given: PublishInput, signal?: AbortSignal): Promise<PublishResult> {
    const { input, bytes } = serializePublish(given, codec);
    if (entries.has(input.id)) {
      throw new RealtimeError(
        'conflict',
        `A publish with the id "${input.id}" still waits for its acknowledgement: use another id`,
      );
    }
    if (entries.size >= maxQueuedPublishes || queuedBytes + bytes > maxQueuedBytes) {
      throw new RealtimeError(
        'rate_limited',
        `${entries.size} publishes of ${queuedBytes} bytes already wait (maxQueuedPublishes, maxQueuedBytes)`,
      );
    }
    const result = deferred<PublishResult>();
    const entry: PublishEntry = {
      input,
      result,
      unwatch: abortWith(signal, result, () => forget(entry)),
      bytes,
      madeAt: clock.monotonic(),
      inFlight: false,
      firstSentAt: undefined,
      ambiguous: false,
      retries: 0,
      notBefore: 0,
    };
    const previous = newest.get(input.channel);
    entries.set(input.id, entry);
    newest.set(input.channel, entry);
    queuedBytes += bytes;
    unsent++;
    scheduleSweep(entry);
    const live = wire();
    if (unsent === 1 && live?.accepting === true && mayStart()) send(entry, live, previous?.input.id);
    else pump();
    return entry.result.promise;
  }

  /** A connection is live. */
  function resume(dedupeMs: number): void {
    window = dedupeMs - Math.min(MAX_MARGIN_MS, dedupeMs / 10);
    pausedUntil = 0;
    for (const entry of entries.values()) entry.notBefore = 0;
    sweep();
  }

  /** The connection is gone: the server may have appended what was sent. */
  function interrupted(): void {
    pumpTimer?.cancel();
    unsent = entries.size;
    for (const entry of entries.values()) {
      entry.ambiguous ||= entry.inFlight;
      entry.inFlight = false;
    }
  }

  /**
   * Fails all publishes: the client is closed, or has another user now, as whom nothing may be sent again.
   *
   * @param quietly Whether the application asked for it: a promise that it does not await is then no uncaught error.
   */
  function stop(error: RealtimeError, quietly: boolean): void {
    for (const entry of entries.values()) {
      if (quietly) entry.result.ignoreRejection();
      fail(entry, error);
    }
  }

  /** @returns Whether the message answers one of these publishes. */
  function answer(message: Envelope): boolean {
    const { type, ref = '', payload } = message;
    const entry = entries.get(ref);
    if (entry === undefined) return false;
    const isError = type === 'error';
    // The answer may be to an earlier sending of an entry that waits to be sent again; it counts the same.
    const result = isError ? undefined : publishResultOf(payload);
    if (result === undefined) {
      refused(entry, isError ? errorFromPayload(payload) : new RealtimeError('timeout'));
    } else {
      remove(entry);
      entry.result.resolve(result);
    }
    pump();
    return true;
  }

  function refused(entry: PublishEntry, error: RealtimeError): void {
    if (entry.inFlight) unsent++;
    entry.inFlight = false;
    // `timeout` and `unavailable` mean that the outcome is unknown, not that the publish was refused (P17).
    if (error.code === 'timeout' || error.code === 'unavailable') entry.ambiguous = true;
    if (!error.retryable) {
      fail(entry, about(error, entry.input));
      return;
    }
    const now = clock.monotonic();
    const advised = error.retryAfterMs ?? 0;
    // A handler that is left alone says nothing of other channels.
    if (error.code === 'rate_limited' && error.reason !== 'circuit_open')
      pausedUntil = Math.max(pausedUntil, now + advised);
    // The first `out_of_order` only means that an earlier publish has to be sent again first, so it adds no delay.
    const isBehind = error.code === 'out_of_order' && entry.retries === 0;
    const delay = isBehind ? 0 : exponentialDelay(retry(), entry.retries, random);
    entry.retries++;
    entry.notBefore = now + Math.max(advised, delay);
  }

  /** Sends what may be sent. Within a channel nothing overtakes: the first that has to wait holds those behind it. */
  function pump(): void {
    pumpTimer?.cancel();
    if (unsent === 0) return;
    const live = wire();
    if (live?.accepting !== true) return;
    const now = clock.monotonic();
    const blocked = new Set<string>();
    const previous = new Map<string, string>();
    let next = Infinity;
    for (const entry of entries.values()) {
      const { channel, id } = entry.input;
      if (blocked.has(channel)) continue;
      if (!entry.inFlight) {
        // The machine may have slept, or its clock was set: then the timer of the sweep has not fired yet.
        if (deadline(entry) <= now) {
          expire(entry);
          continue;
        }
        const notBefore = Math.max(entry.notBefore, pausedUntil);
        if (notBefore > now) {
          next = Math.min(next, notBefore - now);
          blocked.add(channel);
          continue;
        }
        if (!pacer.take()) {
          next = Math.min(next, pacer.waitMs);
          break;
        }
        if (!send(entry, live, previous.get(channel))) continue;
      }
      previous.set(channel, id);
    }
    if (next < Infinity) pumpTimer = clock.schedule(next, pump);
  }

  function send(entry: PublishEntry, live: Wire, after: string | undefined): boolean {
    try {
      live.send(envelopeOf(entry.input, after));
    } catch (error) {
      fail(entry, error as RealtimeError);
      return false;
    }
    entry.inFlight = true;
    unsent--;
    entry.firstSentAt ??= clock.monotonic();
    scheduleSweep(entry);
    return true;
  }

  /** Whether the rate allows one more now. */
  function mayStart(): boolean {
    return pausedUntil <= clock.monotonic() && pacer.take();
  }

  /** The moment at which a publish has become too old. */
  function deadline({ firstSentAt, madeAt, input }: PublishEntry): number {
    const { timeoutMs = Infinity, ttl = Infinity } = input;
    if (firstSentAt !== undefined) return Math.min(firstSentAt + window, madeAt + timeoutMs);
    return madeAt + Math.min(deps.publishTimeoutMs, ttl, timeoutMs);
  }

  function scheduleSweep(entry: PublishEntry): void {
    const at = deadline(entry);
    if (at >= sweepAt) return;
    sweepTimer?.cancel();
    sweepAt = at;
    sweepTimer = clock.schedule(at - clock.monotonic(), sweep);
  }

  /** Fails what is too old, then sends what may be sent: nothing too old is ever sent again (G4). */
  function sweep(): void {
    const now = clock.monotonic();
    sweepTimer?.cancel();
    sweepAt = Infinity;
    for (const entry of entries.values()) {
      if (deadline(entry) > now) scheduleSweep(entry);
      else expire(entry);
    }
    pump();
  }

  function expire(entry: PublishEntry): void {
    const why =
      entry.firstSentAt === undefined
        ? `It was not sent in time: it waited for ${blockerOf(entry)}`
        : 'It was not acknowledged in time';
    fail(entry, about(new RealtimeError('timeout', why), entry.input));
  }

  /** What kept an entry from being sent. */
  function blockerOf({ input: { channel } }: PublishEntry): string {
    if (wire()?.accepting !== true) return 'a connection';
    for (const { input, firstSentAt } of entries.values())
      if (input.channel === channel && firstSentAt !== undefined)
        return `the acknowledgement of "${input.id}" before it`;
    return 'the rate limit';
  }

  /** What waits behind it may go on. */
  function forget(entry: PublishEntry): void {
    remove(entry);
    pump();
  }

  function fail(entry: PublishEntry, error: RealtimeError): void {
    remove(entry);
    const unknown = entry.ambiguous || entry.inFlight;
    const what = describe({ type: 'publish', ...entry.input });
    log('warn', `${what}: ${error.message}`, error);
    entry.result.reject(
      unknown
        ? about(outcomeUnknown(`The ${what} was sent, then: ${error.message}`, error), entry.input)
        : error,
    );
  }

  function remove(entry: PublishEntry): void {
    const { id, channel } = entry.input;
    entries.delete(id);
    if (newest.get(channel) === entry) newest.delete(channel);
    if (!entry.inFlight) unsent--;
    queuedBytes -= entry.bytes;
    entry.unwatch();
    if (entries.size > 0) return;
    sweepTimer?.cancel();
    sweepAt = Infinity;
    pumpTimer?.cancel();
  }

  return { publish, resume, interrupted, stop, answer };
}
