import type { ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { BanList } from '../access/ban-list.js';
import type { RateLimit } from '../access/rate-limit.js';
import type { UserBuckets } from '../access/rate-limit.js';
import type { Clock } from '../ports/clock.js';
import type { AbuseAct, Observer } from '../ports/observer.js';
import type { RealtimeConnection } from '../ports/realtime-connection.js';
import type { EngineSettings } from '../ports/settings.js';
import { AbuseMeter } from './abuse-meter.js';

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
  /** Addresses that are refused; a list of its own, because clients can cause its entries. */
  readonly addressBans: BanList;
}

/** Whose commands are counted. */
export interface InboundOwner {
  readonly view: RealtimeConnection;
  readonly user: { readonly id: string } | undefined;
  readonly reading: { throttle(ms: number): boolean };
  onRateAbuse(retryAfterMs: number): void;
}

/** Bounds what one connection sends (G16): commands and bytes a second, and what happens when it goes on. */
export class InboundLimiter {
  /** When the buckets of commands and bytes are full again. */
  private commandsFullAt = 0;
  private bytesFullAt = 0;
  /** There from the first violation on. */
  private abuse: AbuseMeter | undefined;
  /** Coming back with every channel at once is not abuse. */
  private freeSubscribes: number;
  /** Bytes of the present frame when they are too many, else 0. */
  private overBytes = 0;

  constructor(
    private readonly deps: InboundDeps,
    private readonly ip: string,
  ) {
    this.freeSubscribes = deps.settings.limits.maxChannels;
  }

  /** Counts a frame; when the bytes are used up, its commands are refused. */
  countBytes(length: number, now: number): void {
    const after = this.deps.rates.bytes.take(this.bytesFullAt, length, now);
    this.overBytes = after === undefined ? length : 0;
    if (after !== undefined) this.bytesFullAt = after;
  }

  /** The refusal of a command that is too many, after its consequences took effect; `undefined` admits. */
  admit(type: ClientCommandType | undefined, owner: InboundOwner, now: number): RealtimeError | undefined {
    if (type === 'pong' && this.overBytes === 0) return undefined;
    if (type === 'subscribe' && this.freeSubscribes > 0 && this.overBytes === 0) {
      this.freeSubscribes--;
      return undefined;
    }
    const { rates, userBuckets, settings } = this.deps;
    if (this.overBytes > 0)
      return this.refuse(owner, rates.bytes.waitFor(this.bytesFullAt, this.overBytes, now));
    const after = rates.commands.take(this.commandsFullAt, 1, now);
    if (after === undefined) return this.refuse(owner, rates.commands.waitFor(this.commandsFullAt, 1, now));
    this.commandsFullAt = after;
    const user = owner.user?.id;
    if (user !== undefined && settings.limits.userRatePerSecond > 0 && !userBuckets.take(user, now)) {
      return this.refuse(owner, userBuckets.waitFor(user, now));
    }
    return undefined;
  }

  private refuse(owner: InboundOwner, waitMs: number): RealtimeError | undefined {
    const { clock, settings, bans, addressBans, observer } = this.deps;
    observer.onRateLimit?.(owner.view);
    this.abuse ??= new AbuseMeter(settings.abuse);
    const verdict = this.abuse.violation(clock.monotonic());
    if (verdict === 'throttle' && owner.reading.throttle(Math.min(Math.max(waitMs, 1), MAX_THROTTLE_MS)))
      this.notify({ kind: 'throttle', connection: owner.view, banMs: 0 });
    if (verdict === 'close') {
      const { banMs } = settings.abuse;
      if (banMs > 0) {
        const ban = { until: clock.now() + banMs, reason: 'rate_abuse' };
        if (owner.user === undefined) addressBans.add(this.ip, ban);
        else bans.add(owner.user.id, ban);
      }
      this.notify({ kind: 'close', connection: owner.view, banMs });
      owner.onRateAbuse(banMs);
      return undefined;
    }
    return new RealtimeError('rate_limited', undefined, { retryAfterMs: Math.max(1, Math.ceil(waitMs)) });
  }

  /** This node alone applies it. */
  private notify(act: AbuseAct): void {
    this.deps.observer.onAct?.(act, { confirmed: [this.deps.settings.nodeId], missing: [] });
  }
}
