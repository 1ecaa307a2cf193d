import type { Codec } from '../protocol/codecs/codec.js';
import type { Envelope } from '../protocol/envelope.js';
import type { PublishResult, RetryPolicy } from '../protocol/messages.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { exponentialDelay } from './backoff.js';
import type { ClientClock, ClientTimer } from './clock.js';
import { errorFromFrame, outcomeUnknown } from './errors.js';
import type { Wire } from './connection/wire.js';
import { deferred } from './deferred.js';
import type { Pacer } from './pacer.js';
import {
  envelopeOf,
  frozen,
  publishResultOf,
  type PublishEntry,
  type PublishInput,
} from './publish-entry.js';

/** A last retry must arrive inside the server's window, not only leave inside it. */
const MAX_MARGIN_MS = 5_000;

/**
 * Publishes until they are acknowledged (P17): kept through reconnects, sent again with the same id, in the same
 * order per channel, each naming its unacknowledged predecessor (`after`, P16), within the server's rate. What
 * can no longer be told apart from a new publish by the server fails with `outcome_unknown` (G4).
 */
export class PublishQueue {
  private readonly entries = new Map<string, PublishEntry>();
  private bytes = 0;
  private window = Infinity;
  /** The server said `rate_limited`: nothing is sent before this moment. */
  private pausedUntil = 0;
  private pumpTimer: ClientTimer | undefined;
  private sweepTimer: ClientTimer | undefined;
  private sweepAt = Infinity;

  constructor(
    private readonly setup: {
      readonly clock: ClientClock;
      readonly random: () => number;
      readonly codec: Codec;
      readonly pacer: Pacer;
      readonly wire: () => Wire | undefined;
      readonly retry: () => RetryPolicy;
      readonly maxEntries: number;
      readonly maxBytes: number;
      readonly timeoutMs: number;
    },
  ) {}

  /** @throws RealtimeError when the publish cannot be taken. */
  publish(given: PublishInput): Promise<PublishResult> {
    const { maxEntries, maxBytes, codec, clock } = this.setup;
    const { input, bytes } = frozen(given, codec);
    if (this.entries.has(input.id)) {
      throw new RealtimeError(
        'conflict',
        `A publish with the id "${input.id}" still waits for its acknowledgement`,
      );
    }
    if (this.entries.size >= maxEntries || this.bytes + bytes > maxBytes) {
      throw new RealtimeError(
        'rate_limited',
        `${this.entries.size} publishes of ${this.bytes} bytes already wait (maxQueuedPublishes, maxQueuedBytes); this one was not sent`,
      );
    }
    const entry: PublishEntry = {
      input,
      result: deferred(),
      bytes,
      madeAt: clock.now(),
      inFlight: false,
      firstSentAt: undefined,
      ambiguous: false,
      retries: 0,
      notBefore: 0,
    };
    this.entries.set(input.id, entry);
    this.bytes += bytes;
    this.expect(entry);
    this.pump();
    return entry.result.promise;
  }

  /** A connection is live. */
  resume(dedupeMs: number): void {
    this.window = dedupeMs - Math.min(MAX_MARGIN_MS, dedupeMs / 10);
    this.pausedUntil = 0;
    for (const entry of this.entries.values()) entry.notBefore = 0;
    this.sweep();
  }

  /** The connection is gone: what was sent may have arrived. */
  interrupted(): void {
    this.pumpTimer?.cancel();
    for (const entry of this.entries.values()) {
      if (!entry.inFlight) continue;
      entry.inFlight = false;
      entry.ambiguous = true;
    }
  }

  /**
   * Gives up on all: the client is closed, or is another user now, under whom nothing may be sent again.
   *
   * @param quietly The application wanted it so: a promise that nobody awaits is no uncaught error then.
   */
  stop(error: RealtimeError, quietly: boolean): void {
    for (const entry of [...this.entries.values()]) {
      if (quietly) entry.result.quiet();
      this.fail(entry, error);
    }
    this.pumpTimer?.cancel();
  }

  /** @returns Whether the message answers one of these publishes. */
  answer(message: Envelope): boolean {
    const entry = message.ref === undefined ? undefined : this.entries.get(message.ref);
    if (entry === undefined) return false;
    // An answer to an earlier sending of an entry that waits to be sent again is as good.
    const result = message.type === 'error' ? undefined : publishResultOf(message.payload);
    if (result !== undefined) {
      this.remove(entry);
      entry.result.resolve(result);
    } else {
      this.refused(
        entry,
        message.type === 'error' ? errorFromFrame(message.payload) : new RealtimeError('timeout'),
      );
    }
    this.pump();
    return true;
  }

  private refused(entry: PublishEntry, error: RealtimeError): void {
    entry.inFlight = false;
    // `timeout` and `unavailable` mean unknown, never refused (P17).
    if (error.code === 'timeout' || error.code === 'unavailable') entry.ambiguous = true;
    if (!error.retryable) {
      this.fail(entry, error);
      return;
    }
    const now = this.setup.clock.now();
    const advised = error.retryAfterMs ?? 0;
    if (error.code === 'rate_limited') this.pausedUntil = Math.max(this.pausedUntil, now + advised);
    // One that only stands behind another waits for that one, which its order sees to, and not on its own account.
    const behind = error.code === 'out_of_order' && entry.retries === 0;
    const delay = behind ? 0 : exponentialDelay(this.setup.retry(), entry.retries, this.setup.random);
    entry.retries++;
    entry.notBefore = now + Math.max(advised, delay);
  }

  /** Sends what may go. Within a channel nothing overtakes: the first that has to wait holds those behind it. */
  private pump(): void {
    this.pumpTimer?.cancel();
    const wire = this.setup.wire();
    if (wire?.accepting !== true) return;
    const now = this.setup.clock.now();
    const blocked = new Set<string>();
    const previous = new Map<string, string>();
    let next = Infinity;
    for (const entry of [...this.entries.values()]) {
      const { channel, id } = entry.input;
      if (blocked.has(channel)) continue;
      if (!entry.inFlight) {
        // The machine may have slept, or its clock was set: the sweep's timer is then still to come.
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
        if (!this.setup.pacer.take()) {
          next = Math.min(next, this.setup.pacer.waitMs);
          break;
        }
        if (!this.send(entry, wire, previous.get(channel))) continue;
      }
      previous.set(channel, id);
    }
    if (next < Infinity) this.pumpTimer = this.setup.clock.schedule(next, () => this.pump());
  }

  private send(entry: PublishEntry, wire: Wire, after: string | undefined): boolean {
    try {
      wire.send(envelopeOf(entry.input, after));
    } catch (error) {
      this.fail(entry, error as RealtimeError);
      return false;
    }
    entry.inFlight = true;
    entry.firstSentAt ??= this.setup.clock.now();
    this.expect(entry);
    return true;
  }

  /** The moment at which a publish fails for its age. */
  private deadline(entry: PublishEntry): number {
    if (entry.firstSentAt !== undefined) return entry.firstSentAt + this.window;
    return entry.madeAt + Math.min(this.setup.timeoutMs, entry.input.ttl ?? Infinity);
  }

  private expect(entry: PublishEntry): void {
    const at = this.deadline(entry);
    if (at >= this.sweepAt) return;
    this.sweepTimer?.cancel();
    this.sweepAt = at;
    this.sweepTimer = this.setup.clock.schedule(Math.max(0, at - this.setup.clock.now()), () => this.sweep());
  }

  /** Fails what is too old, then sends what may go: nothing too old is ever sent again (G4). */
  private sweep(): void {
    const now = this.setup.clock.now();
    this.sweepTimer?.cancel();
    this.sweepAt = Infinity;
    for (const entry of [...this.entries.values()]) {
      if (this.deadline(entry) > now) this.expect(entry);
      else this.expire(entry);
    }
    this.pump();
  }

  private expire(entry: PublishEntry): void {
    if (entry.firstSentAt === undefined) {
      const why = 'No connection took the publish in time; it was not sent';
      return this.fail(entry, new RealtimeError('timeout', why));
    }
    entry.ambiguous ||= entry.inFlight;
    this.fail(
      entry,
      new RealtimeError('timeout', 'The publish was not acknowledged inside the dedupe window'),
    );
  }

  private fail(entry: PublishEntry, error: RealtimeError): void {
    this.remove(entry);
    const unknown = entry.ambiguous || entry.inFlight;
    entry.result.reject(
      unknown ? outcomeUnknown(`The publish was sent, then: ${error.message}`, error) : error,
    );
  }

  private remove(entry: PublishEntry): void {
    this.entries.delete(entry.input.id);
    this.bytes -= entry.bytes;
    if (this.entries.size > 0) return;
    this.sweepTimer?.cancel();
    this.sweepAt = Infinity;
    this.pumpTimer?.cancel();
  }
}
