import { RealtimeError } from '../protocol/realtime-error.js';
import type { ClientClock, ClientTimer } from './clock.js';
import { isDuration, recordOf } from './connection/welcome.js';
import type { CommandQueue } from './command-queue.js';
import type { TokenSource } from './token.js';

/** Longest time ahead of the expiry at which a refresh starts; for short tokens a fifth of their life. */
const MAX_LEAD_MS = 60_000;
/** With less life left than this another attempt is pointless: 4008 and a fresh connect come first. */
const MIN_RETRY_MS = 1_000;

/**
 * Keeps a live connection authenticated (G12): ahead of the token's expiry, and when the server asks with
 * `auth_required`, it fetches a token and sends it with `auth`, in place. If that fails, the server ends the
 * connection with 4008 and the client comes back with a fresh token.
 */
export class TokenRefresher {
  private timer: ClientTimer | undefined;
  /** Number of the live connection; what an older one started is ignored. */
  private life = 0;
  private busy = false;
  private expiresAt = Infinity;

  constructor(
    private readonly tokens: TokenSource | undefined,
    private readonly commands: CommandQueue,
    private readonly clock: ClientClock,
    private readonly random: () => number,
    private readonly report: (error: unknown) => void,
  ) {}

  /** A connection is live, with a token that lasts `expiresInMs`. */
  start(expiresInMs: number | undefined): void {
    this.stop();
    this.tokens?.accept(expiresInMs);
    this.plan(expiresInMs);
  }

  /** The connection is gone. */
  stop(): void {
    this.life++;
    this.busy = false;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** The server sent `auth_required`. */
  demand(payload: unknown): void {
    const { withinMs } = recordOf(payload);
    if (this.tokens === undefined) {
      this.report(
        new RealtimeError(
          'token_expired',
          'The server asks for a new token and the client has no option "token" to get one from; it will disconnect.',
        ),
      );
      return;
    }
    if (isDuration(withinMs)) this.expiresAt = this.clock.now() + withinMs;
    this.refresh();
  }

  private plan(expiresInMs: number | undefined): void {
    this.expiresAt = expiresInMs === undefined ? Infinity : this.clock.now() + expiresInMs;
    if (expiresInMs === undefined || this.tokens === undefined) return;
    // Spread, so that the clients of one reconnect wave do not all ask for tokens in the same second later.
    const lead = Math.min(MAX_LEAD_MS, expiresInMs / 5) * (1 + this.random());
    this.schedule(expiresInMs - lead);
  }

  private schedule(delayMs: number): void {
    this.timer?.cancel();
    this.timer = this.clock.schedule(delayMs, () => this.refresh());
  }

  private refresh(): void {
    if (this.busy || this.tokens === undefined) return;
    const { life, tokens } = this;
    this.busy = true;
    this.timer?.cancel();
    tokens.fetch().then(
      (token) => {
        if (life === this.life) this.present(token, life);
      },
      (error: unknown) => {
        if (life === this.life) this.failed(error, true);
      },
    );
  }

  private present(token: string, life: number): void {
    this.commands.dispatch({ type: 'auth', payload: { token }, now: true }, (error, result) => {
      if (life !== this.life) return;
      if (error !== undefined) {
        // `forbidden`: the token is another user's. Asking again gives the same one, and the old token stands.
        this.failed(error, error.code !== 'forbidden');
        return;
      }
      this.busy = false;
      const { expiresInMs } = recordOf(result);
      const lasts = isDuration(expiresInMs) ? expiresInMs : undefined;
      this.tokens?.accept(lasts);
      this.plan(lasts);
    });
  }

  private failed(error: unknown, again: boolean): void {
    this.busy = false;
    this.report(error);
    const left = this.expiresAt - this.clock.now();
    if (again && Number.isFinite(left) && left > MIN_RETRY_MS)
      this.schedule(Math.max(MIN_RETRY_MS, left / 2));
  }
}
