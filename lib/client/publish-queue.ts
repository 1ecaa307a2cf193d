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
export class PublishQueue {
  private readonly entries = new Map<string, PublishEntry>();
  /** The newest entry of each channel. */
  private readonly newest = new Map<string, PublishEntry>();
  /** Entries that are not in flight. While there are none, nothing has to be looked for. */
  private unsent = 0;
  private bytes = 0;
  private window = Infinity;
  /** After `rate_limited`: nothing is sent before this moment. */
  private pausedUntil = 0;
  private pumpTimer: ClientTimer | undefined;
  private sweepTimer: ClientTimer | undefined;
  private sweepAt = Infinity;

  constructor(private readonly deps: PublishQueueDeps) {}

  /** @throws RealtimeError when the queue cannot take the publish. */
  publish(given: PublishInput, signal?: AbortSignal): Promise<PublishResult> {
    const { maxQueuedPublishes, maxQueuedBytes, codec, clock } = this.deps;
    const { input, bytes } = serializePublish(given, codec);
    if (this.entries.has(input.id)) {
      throw new RealtimeError(
        'conflict',
        `A publish with the id "${input.id}" still waits for its acknowledgement: wait for it, or use another id`,
      );
    }
    if (this.entries.size >= maxQueuedPublishes || this.bytes + bytes > maxQueuedBytes) {
      throw new RealtimeError(
        'rate_limited',
        `${this.entries.size} publishes of ${this.bytes} bytes already wait (maxQueuedPublishes, maxQueuedBytes); this one was not sent`,
      );
    }
    const result = deferred<PublishResult>();
    const entry: PublishEntry = {
      input,
      result,
      unwatch: abortWith(signal, result, () => this.forget(entry)),
      bytes,
      madeAt: clock.monotonic(),
      inFlight: false,
      firstSentAt: undefined,
      ambiguous: false,
      retries: 0,
      notBefore: 0,
    };
    const previous = this.newest.get(input.channel);
    this.entries.set(input.id, entry);
    this.newest.set(input.channel, entry);
    this.bytes += bytes;
    this.unsent++;
    this.scheduleSweep(entry);
    const wire = this.deps.wire();
    if (this.unsent === 1 && wire?.accepting === true && this.mayStart())
      this.send(entry, wire, previous?.input.id);
    else this.pump();
    return entry.result.promise;
  }

  /** A connection is live. */
  resume(dedupeMs: number): void {
    this.window = dedupeMs - Math.min(MAX_MARGIN_MS, dedupeMs / 10);
    this.pausedUntil = 0;
    for (const entry of this.entries.values()) entry.notBefore = 0;
    this.sweep();
  }

  /** The connection is gone: the server may have appended what was sent. */
  interrupted(): void {
    this.pumpTimer?.cancel();
    this.unsent = this.entries.size;
    for (const entry of this.entries.values()) {
      entry.ambiguous ||= entry.inFlight;
      entry.inFlight = false;
    }
  }

  /**
   * Fails all publishes: the client is closed, or has another user now, as whom nothing may be sent again.
   *
   * @param quietly Whether the application asked for it: a promise that it does not await is then no uncaught error.
   */
  stop(error: RealtimeError, quietly: boolean): void {
    for (const entry of this.entries.values()) {
      if (quietly) entry.result.ignoreRejection();
      this.fail(entry, error);
    }
  }

  /** @returns Whether the message answers one of these publishes. */
  answer(message: Envelope): boolean {
    const entry = message.ref === undefined ? undefined : this.entries.get(message.ref);
    if (entry === undefined) return false;
    const isError = message.type === 'error';
    // The answer may be to an earlier sending of an entry that waits to be sent again; it counts the same.
    const result = isError ? undefined : publishResultOf(message.payload);
    if (result === undefined) {
      this.refused(entry, isError ? errorFromPayload(message.payload) : new RealtimeError('timeout'));
    } else {
      this.remove(entry);
      entry.result.resolve(result);
    }
    this.pump();
    return true;
  }

  private refused(entry: PublishEntry, error: RealtimeError): void {
    if (entry.inFlight) this.unsent++;
    entry.inFlight = false;
    // `timeout` and `unavailable` mean that the outcome is unknown, not that the publish was refused (P17).
    if (error.code === 'timeout' || error.code === 'unavailable') entry.ambiguous = true;
    if (!error.retryable) {
      this.fail(entry, about(error, entry.input));
      return;
    }
    const now = this.deps.clock.monotonic();
    const advised = error.retryAfterMs ?? 0;
    if (error.code === 'rate_limited') this.pausedUntil = Math.max(this.pausedUntil, now + advised);
    // The first `out_of_order` only means that an earlier publish has to be sent again first, so it adds no delay.
    const isBehind = error.code === 'out_of_order' && entry.retries === 0;
    const delay = isBehind ? 0 : exponentialDelay(this.deps.retry(), entry.retries, this.deps.random);
    entry.retries++;
    entry.notBefore = now + Math.max(advised, delay);
  }

  /** Sends what may be sent. Within a channel nothing overtakes: the first that has to wait holds those behind it. */
  private pump(): void {
    this.pumpTimer?.cancel();
    if (this.unsent === 0) return;
    const { clock, pacer } = this.deps;
    const wire = this.deps.wire();
    if (wire?.accepting !== true) return;
    const now = clock.monotonic();
    const blocked = new Set<string>();
    const previous = new Map<string, string>();
    let next = Infinity;
    for (const entry of this.entries.values()) {
      const { channel, id } = entry.input;
      if (blocked.has(channel)) continue;
      if (!entry.inFlight) {
        // The machine may have slept, or its clock was set: then the timer of the sweep has not fired yet.
        if (this.deadline(entry) <= now) {
          this.expire(entry);
          continue;
        }
        const notBefore = Math.max(entry.notBefore, this.pausedUntil);
        if (notBefore > now) {
          next = Math.min(next, notBefore - now);
          blocked.add(channel);
          continue;
        }
        if (!pacer.take()) {
          next = Math.min(next, pacer.waitMs);
          break;
        }
        if (!this.send(entry, wire, previous.get(channel))) continue;
      }
      previous.set(channel, id);
    }
    if (next < Infinity) this.pumpTimer = clock.schedule(next, () => this.pump());
  }

  private send(entry: PublishEntry, wire: Wire, after: string | undefined): boolean {
    try {
      wire.send(envelopeOf(entry.input, after));
    } catch (error) {
      this.fail(entry, error as RealtimeError);
      return false;
    }
    entry.inFlight = true;
    this.unsent--;
    entry.firstSentAt ??= this.deps.clock.monotonic();
    this.scheduleSweep(entry);
    return true;
  }

  /** Whether the rate allows one more now. */
  private mayStart(): boolean {
    const { clock, pacer } = this.deps;
    return this.pausedUntil <= clock.monotonic() && pacer.take();
  }

  /** The moment at which a publish has become too old. */
  private deadline({ firstSentAt, madeAt, input }: PublishEntry): number {
    const { timeoutMs = Infinity, ttl = Infinity } = input;
    if (firstSentAt !== undefined) return Math.min(firstSentAt + this.window, madeAt + timeoutMs);
    return madeAt + Math.min(this.deps.publishTimeoutMs, ttl, timeoutMs);
  }

  private scheduleSweep(entry: PublishEntry): void {
    const { clock } = this.deps;
    const at = this.deadline(entry);
    if (at >= this.sweepAt) return;
    this.sweepTimer?.cancel();
    this.sweepAt = at;
    this.sweepTimer = clock.schedule(at - clock.monotonic(), () => this.sweep());
  }

  /** Fails what is too old, then sends what may be sent: nothing too old is ever sent again (G4). */
  private sweep(): void {
    const now = this.deps.clock.monotonic();
    this.sweepTimer?.cancel();
    this.sweepAt = Infinity;
    for (const entry of this.entries.values()) {
      if (this.deadline(entry) > now) this.scheduleSweep(entry);
      else this.expire(entry);
    }
    this.pump();
  }

  private expire(entry: PublishEntry): void {
    const why =
      entry.firstSentAt === undefined
        ? `The publish was not sent in time: it waited for ${this.blockerOf(entry)}`
        : 'The publish was not acknowledged in time (the dedupe window of the server, timeoutMs)';
    this.fail(entry, about(new RealtimeError('timeout', why), entry.input));
  }

  /** What kept an entry from being sent. */
  private blockerOf({ input: { channel } }: PublishEntry): string {
    if (this.deps.wire()?.accepting !== true) return 'a connection';
    for (const { input, firstSentAt } of this.entries.values())
      if (input.channel === channel && firstSentAt !== undefined)
        return `the acknowledgement of "${input.id}" before it`;
    return 'the rate limit';
  }

  /** What waits behind it may go on. */
  private forget(entry: PublishEntry): void {
    this.remove(entry);
    this.pump();
  }

  private fail(entry: PublishEntry, error: RealtimeError): void {
    this.remove(entry);
    const unknown = entry.ambiguous || entry.inFlight;
    const what = describe({ type: 'publish', ...entry.input });
    this.deps.log('warn', `${what}: ${error.message}`, error);
    entry.result.reject(
      unknown
        ? about(outcomeUnknown(`The ${what} was sent, then: ${error.message}`, error), entry.input)
        : error,
    );
  }

  private remove(entry: PublishEntry): void {
    const { id, channel } = entry.input;
    this.entries.delete(id);
    if (this.newest.get(channel) === entry) this.newest.delete(channel);
    if (!entry.inFlight) this.unsent--;
    this.bytes -= entry.bytes;
    entry.unwatch();
    if (this.entries.size > 0) return;
    this.sweepTimer?.cancel();
    this.sweepAt = Infinity;
    this.pumpTimer?.cancel();
  }
}
