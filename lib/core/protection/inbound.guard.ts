import type { ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { EngineContext } from '../engine/engine.context.js';
import type { Session } from '../session/session.js';
import { AbuseMeter } from './abuse.meter.js';
import { TokenBucket } from './token-bucket.js';

/** Longest pause in reading that a violation causes, in milliseconds. */
const MAX_THROTTLE_MS = 1_000;

/** Bounds what one connection sends (G16): commands and bytes a second, and what happens when it goes on. */
export class InboundGuard {
  private readonly commands: TokenBucket;
  private readonly bytes: TokenBucket;
  private readonly abuse: AbuseMeter;
  /** Coming back with every channel at once is not abuse. */
  private freeSubscribes: number;
  /** Bytes of the present frame when they are too many, else 0. */
  private overBytes = 0;

  constructor(
    private readonly context: EngineContext,
    private readonly ip: string,
  ) {
    const { limits, abuse } = context.settings;
    const now = context.clock.monotonic();
    this.commands = new TokenBucket(limits.ratePerSecond, limits.burst, now);
    this.bytes = new TokenBucket(limits.bytesPerSecond, limits.bytesPerSecond * 2, now);
    this.abuse = new AbuseMeter(abuse);
    this.freeSubscribes = limits.maxChannels;
  }

  /** Counts a frame; when the bytes are used up, its commands are refused. */
  countBytes(length: number): void {
    this.overBytes = this.bytes.take(length, this.context.clock.monotonic()) ? 0 : length;
  }

  /** The refusal of a command that is too many, after its consequences took effect; `undefined` admits. */
  admit(type: ClientCommandType | undefined, session: Session): RealtimeError | undefined {
    if (type === 'pong' && this.overBytes === 0) return undefined;
    if (type === 'subscribe' && this.freeSubscribes > 0 && this.overBytes === 0) {
      this.freeSubscribes--;
      return undefined;
    }
    const now = this.context.clock.monotonic();
    const { limits } = this.context.settings;
    const user = session.user?.id;
    if (this.overBytes > 0) return this.refuse(session, this.bytes.waitFor(this.overBytes, now));
    if (!this.commands.take(1, now)) return this.refuse(session, this.commands.waitFor(1, now));
    if (user !== undefined && limits.userRatePerSecond > 0 && !this.context.userBuckets.take(user, now)) {
      return this.refuse(session, this.context.userBuckets.waitFor(user, now));
    }
    return undefined;
  }

  private refuse(session: Session, waitMs: number): RealtimeError | undefined {
    const { clock, settings, bans, addressBans } = this.context;
    const verdict = this.abuse.violation(clock.monotonic());
    if (verdict === 'throttle') session.reading.throttle(Math.min(Math.max(waitMs, 1), MAX_THROTTLE_MS));
    if (verdict === 'close') {
      const { banMs } = settings.abuse;
      if (banMs > 0) {
        const ban = { until: clock.now() + banMs, reason: 'rate_abuse' };
        if (session.user === undefined) addressBans.add(this.ip, ban);
        else bans.add(session.user.id, ban);
      }
      session.close('rate_abuse', banMs);
      return undefined;
    }
    return new RealtimeError('rate_limited', undefined, { retryAfterMs: Math.max(1, Math.ceil(waitMs)) });
  }
}
