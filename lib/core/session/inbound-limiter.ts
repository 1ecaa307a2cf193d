import type { ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { BanList } from '../access/ban-list.js';
import type { RateLimit } from '../access/rate-limit.js';
import type { UserBuckets } from '../access/rate-limit.js';
import type { Clock } from '../ports/clock.js';
import type { ClosableSession } from '../ports/connection.js';
import type { AbuseAct, Observer } from '../ports/observer.js';
import type { RealtimeConnection } from '../ports/realtime-connection.js';
import type { AbusePolicy, EngineSettings } from '../ports/settings.js';

/** Longest pause in reading that a violation causes, in milliseconds. */
const MAX_THROTTLE_MS = 1_000;

/** What the limits of all connections share. */
export interface InboundDeps {
  readonly settings: Pick<EngineSettings, 'limits' | 'abuse' | 'nodeId'>;
  readonly clock: Clock;
  readonly observer: Observer;
  /** What one connection may send a second. */
  readonly rates: { readonly commands: RateLimit; readonly bytes: RateLimit };
  readonly userBuckets: UserBuckets;
  /** Users that are refused. */
  readonly bans: BanList;
  /** Addresses that are refused; a list of their own, because clients can cause its entries. */
  readonly addressBans: BanList;
}

/** A session whose commands are counted. */
export interface LimitedSession extends ClosableSession {
  readonly view: RealtimeConnection;
  readonly user: { readonly id: string } | undefined;
  readonly reading: { throttle(ms: number): boolean };
}

/** Counts the violations of one connection in windows of `windowMs`. */
class AbuseMeter {
  private count = 0;
  private windowStart = 0;

  constructor(private readonly policy: AbusePolicy) {}

  /** Counts one more. @returns what it leads to (G16). */
  violation(now: number): 'warn' | 'throttle' | 'close' {
    if (now - this.windowStart >= this.policy.windowMs) {
      this.windowStart = now;
      this.count = 0;
    }
    this.count++;
    if (this.count >= this.policy.closeAfter) return 'close';
    return this.count >= this.policy.throttleAfter ? 'throttle' : 'warn';
  }
}

/** Bounds the commands and bytes that one connection sends a second, and escalates when it exceeds them again and again (G16). */
export class InboundLimiter {
  /** When the buckets of commands and bytes are full again. */
  private commandsFullAt = 0;
  private bytesFullAt = 0;
  /** Made at the first violation. */
  private abuse: AbuseMeter | undefined;
  /** A client that reconnects with all its channels at once is no abuser. */
  private freeSubscribes: number;
  /** Bytes of the current frame when they exceed the rate, else 0. */
  private overBytes = 0;

  constructor(
    private readonly deps: InboundDeps,
    private readonly ip: string,
  ) {
    this.freeSubscribes = deps.settings.limits.maxChannels;
  }

  /** Counts a frame. When it exceeds the rate of bytes, its commands are refused. */
  countBytes(length: number, now: number): void {
    const after = this.deps.rates.bytes.take(this.bytesFullAt, length, now);
    this.overBytes = after === undefined ? length : 0;
    if (after !== undefined) this.bytesFullAt = after;
  }

  /** @returns the refusal of a command above the rate, once its consequences took effect; `undefined` admits it. */
  admit(
    type: ClientCommandType | undefined,
    session: LimitedSession,
    now: number,
  ): RealtimeError | undefined {
    if (type === 'pong' && this.overBytes === 0) return undefined;
    if (type === 'subscribe' && this.freeSubscribes > 0 && this.overBytes === 0) {
      this.freeSubscribes--;
      return undefined;
    }
    const { rates, userBuckets, settings } = this.deps;
    if (this.overBytes > 0)
      return this.refuse(session, rates.bytes.waitFor(this.bytesFullAt, this.overBytes, now));
    const after = rates.commands.take(this.commandsFullAt, 1, now);
    if (after === undefined) return this.refuse(session, rates.commands.waitFor(this.commandsFullAt, 1, now));
    this.commandsFullAt = after;
    const user = session.user?.id;
    if (user !== undefined && settings.limits.userRatePerSecond > 0 && !userBuckets.take(user, now)) {
      return this.refuse(session, userBuckets.waitFor(user, now));
    }
    return undefined;
  }

  private refuse(session: LimitedSession, waitMs: number): RealtimeError | undefined {
    const { clock, settings, bans, addressBans, observer } = this.deps;
    observer.onRateLimit?.(session.view);
    this.abuse ??= new AbuseMeter(settings.abuse);
    const verdict = this.abuse.violation(clock.monotonic());
    if (verdict === 'throttle' && session.reading.throttle(Math.min(Math.max(waitMs, 1), MAX_THROTTLE_MS)))
      this.notify({ kind: 'throttle', connection: session.view, banMs: 0 });
    if (verdict === 'close') {
      const { banMs } = settings.abuse;
      if (banMs > 0) {
        const ban = { until: clock.monotonic() + banMs, reason: 'rate_abuse' };
        if (session.user === undefined) addressBans.add(this.ip, ban);
        else bans.add(session.user.id, ban);
      }
      this.notify({ kind: 'close', connection: session.view, banMs });
      session.close('rate_abuse', banMs);
      return undefined;
    }
    return new RealtimeError('rate_limited', undefined, { retryAfterMs: Math.max(1, Math.ceil(waitMs)) });
  }

  /** This node alone applies it. */
  private notify(act: AbuseAct): void {
    this.deps.observer.onAct?.(act, { confirmed: [this.deps.settings.nodeId], missing: [] });
  }
}
