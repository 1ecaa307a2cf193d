import type { Clock, Scheduled } from '../ports/clock.js';
import type { ClosableSession } from '../ports/connection.js';
import type { Timed, TimerWheel } from '../async/timer-wheel.js';
import type { Verified } from '../ports/identity.js';

/** Longest single wait of the wheel, in milliseconds; a longer life of a token is waited for in pieces. */
const MAX_WAIT_MS = 3_600_000;

export interface TokenWatchDeps {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly settings: { readonly authRequiredAheadMs: number };
}

/** A session as the watch over its token sees it. */
export interface TokenSession extends ClosableSession {
  readonly isLive: boolean;
  /** Asks the client to send a fresh token within this time, in milliseconds. */
  requireAuth(withinMs: number): void;
}

/** Bounds a connection by the life of its token (G12): `auth_required` before it expires, 4008 when it does. */
export class TokenWatch implements Timed {
  private timer: Scheduled | undefined;
  /** On the monotonic clock. */
  private endsAt = Infinity;
  private asked = false;

  constructor(
    private readonly deps: TokenWatchDeps,
    private readonly session: TokenSession,
  ) {}

  /** Whole milliseconds until the token expires, as clients are told them; `undefined` when it does not. */
  get expiresInMs(): number | undefined {
    if (this.endsAt === Infinity) return undefined;
    return Math.max(0, Math.floor(this.endsAt - this.deps.clock.monotonic()));
  }

  /** Follows a new credential in place of the one before it. */
  follow({ endsAt }: Verified): void {
    this.endsAt = endsAt;
    this.asked = false;
    this.arm();
  }

  stop(): void {
    this.timer?.cancel();
  }

  private arm(): void {
    this.timer?.cancel();
    const left = this.expiresInMs;
    if (left === undefined) return;
    const wait = this.asked ? left : left - this.aheadMs(left);
    this.timer = this.deps.wheel.schedule(Math.min(Math.max(0, wait), MAX_WAIT_MS), this);
  }

  onTimer(): void {
    const left = this.expiresInMs ?? 0;
    if (left <= 0) return this.session.close('token_expired');
    const asks = !this.asked && left <= this.deps.settings.authRequiredAheadMs && this.session.isLive;
    if (asks) this.asked = true;
    this.arm();
    // Last: it may be one message too many for the client, and the end of the session then stops the timer.
    if (asks) this.session.requireAuth(left);
  }

  /** Of a token that expires sooner than that, the notice is sent at half its life. */
  private aheadMs(left: number): number {
    const { authRequiredAheadMs } = this.deps.settings;
    return left > authRequiredAheadMs ? authRequiredAheadMs : left / 2;
  }
}
