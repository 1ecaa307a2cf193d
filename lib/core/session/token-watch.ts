import type { Clock, Scheduled } from '../ports/clock.js';
import type { ClosableSession } from '../ports/connection.js';
import type { Timed, TimerWheel } from '../async/timer-wheel.js';
import type { Authentication } from '../ports/identity.js';

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
  /** The client is to send a fresh token within this time. */
  requireAuth(withinMs: number): void;
}

/** Bounds a connection by the life of its token (G12): `auth_required` ahead of the end, 4008 at it. */
export class TokenWatch implements Timed {
  private timer: Scheduled | undefined;
  private expiresAt: number | undefined;
  private asked = false;

  constructor(
    private readonly deps: TokenWatchDeps,
    private readonly session: TokenSession,
  ) {}

  /** Milliseconds until the token ends; `undefined` when it does not. */
  get expiresInMs(): number | undefined {
    return this.expiresAt === undefined ? undefined : Math.max(0, this.expiresAt - this.deps.clock.now());
  }

  /** Follows a new credential in place of the one before it. */
  follow(authentication: Authentication): void {
    this.expiresAt = authentication.expiresAt;
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
    // Last: it may be one message too many for the client, whose end then stops the timer.
    if (asks) this.session.requireAuth(left);
  }

  /** A token that lives shorter than the notice is asked for at half its life. */
  private aheadMs(left: number): number {
    const { authRequiredAheadMs } = this.deps.settings;
    return left > authRequiredAheadMs ? authRequiredAheadMs : left / 2;
  }
}
