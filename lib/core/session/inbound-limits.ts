import type { ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { EngineContext } from '../engine/context.js';
import type { Session } from './session.js';
import { AbuseMeter } from './abuse-meter.js';

/** Longest pause in reading that a violation causes, in milliseconds. */
const MAX_THROTTLE_MS = 1_000;

/** Bounds what one connection sends (G16): commands and bytes a second, and what happens when it goes on. */
export class InboundGuard {
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
    private readonly context: EngineContext,
    private readonly ip: string,
  ) {
    this.freeSubscribes = context.settings.limits.maxChannels;
  }

  /** Counts a frame; when the bytes are used up, its commands are refused. */
  countBytes(length: number, now: number): void {
    const after = this.context.rates.bytes.take(this.bytesFullAt, length, now);
    this.overBytes = after === undefined ? length : 0;
    if (after !== undefined) this.bytesFullAt = after;
  }

  /** The refusal of a command that is too many, after its consequences took effect; `undefined` admits. */
  admit(type: ClientCommandType | undefined, session: Session, now: number): RealtimeError | undefined {
    if (type === 'pong' && this.overBytes === 0) return undefined;
    if (type === 'subscribe' && this.freeSubscribes > 0 && this.overBytes === 0) {
      this.freeSubscribes--;
      return undefined;
    }
    const { rates, userBuckets, settings } = this.context;
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

  private refuse(session: Session, waitMs: number): RealtimeError | undefined {
    const { clock, settings, bans, addressBans } = this.context;
    this.abuse ??= new AbuseMeter(settings.abuse);
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
