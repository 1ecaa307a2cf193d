import type { EngineContext } from '../engine/context.js';
import type { Scheduled } from '../ports/clock.js';
import type { Timed } from '../async/timer-wheel.js';
import type { Authentication } from '../ports/identity.js';
import type { Session } from './session.js';

/** Longest single wait of the wheel; longer lives are waited for in pieces. */
const MAX_WAIT_MS = 3_600_000;

/** Bounds a connection by the life of its token (G12): `auth_required` ahead of the end, 4008 at it. */
export class TokenWatch implements Timed {
  private timer: Scheduled | undefined;
  private expiresAt: number | undefined;
  private asked = false;

  constructor(
    private readonly context: EngineContext,
    private readonly session: Session,
  ) {}

  /** Milliseconds until the token ends; `undefined` when it does not. */
  get expiresInMs(): number | undefined {
    return this.expiresAt === undefined ? undefined : Math.max(0, this.expiresAt - this.context.clock.now());
  }

  /** Follows a new credential; the one before it is forgotten. */
  follow(authentication: Authentication, token: string | undefined): void {
    this.expiresAt = authentication.expiresAt;
    this.asked = false;
    if (token !== undefined) this.session.view.setToken(token);
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
    this.timer = this.context.wheel.schedule(Math.min(Math.max(0, wait), MAX_WAIT_MS), this);
  }

  onTimer(): void {
    const left = this.expiresInMs ?? 0;
    if (left <= 0) return this.session.close('token_expired');
    const asks = !this.asked && left <= this.context.settings.authRequiredAheadMs && this.session.isLive;
    if (asks) this.asked = true;
    this.arm();
    if (!asks) return;
    // Last: it may be one message too many for the client, whose end then stops the timer.
    const ts = this.context.clock.now();
    this.session.outbox.pushControl({ type: 'auth_required', ts, payload: { withinMs: left } });
  }

  /** A token that lives shorter than the notice is asked for at half its life. */
  private aheadMs(left: number): number {
    const { authRequiredAheadMs } = this.context.settings;
    return left > authRequiredAheadMs ? authRequiredAheadMs : left / 2;
  }
}
