import { RealtimeError } from '../protocol/realtime-error.js';
import type { ClientClock, ClientTimer } from './clock.js';
import type { CommandQueue } from './command-queue.js';
import { deferred } from './promises.js';
import { durationOf, recordOf } from './received.js';
import type { TokenSource } from './token.js';

/** The longest time before the expiry at which a refresh starts; for short-lived tokens a fifth of their life. */
const MAX_LEAD_MS = 60_000;
/** With less life left than this another attempt is pointless: 4008 and a reconnect with a fresh token come first. */
const MIN_RETRY_MS = 1_000;

const NO_PROVIDER = 'There is no option "token" to get a new token from';

/**
 * Keeps a live connection authenticated (G12): before the token expires, and when the server asks with `auth_required`,
 * it fetches a token and sends it with `auth`. If that fails, the server ends the connection with 4008 and the client
 * comes back with a fresh token.
 */
export class TokenRefresher {
  private timer: ClientTimer | undefined;
  /** Number of the live connection; what an older one started is ignored. */
  private life = 0;
  private live = false;
  private busy = false;
  private expiresAt = Infinity;

  constructor(
    private readonly tokens: TokenSource | undefined,
    private readonly commands: Pick<CommandQueue, 'dispatch'>,
    private readonly clock: ClientClock,
    private readonly random: () => number,
    private readonly report: (error: unknown) => void,
  ) {}

  /** A connection is live, with this token, if any, that expires in `expiresInMs`. */
  start(token: string | undefined, expiresInMs: number | undefined): void {
    this.stop();
    this.live = true;
    this.renewed(token, expiresInMs);
  }

  /** The connection is gone. */
  stop(): void {
    this.life++;
    this.live = this.busy = false;
    this.timer?.cancel();
  }

  /** Asks for a token now: a live connection is given it, any other makes its next attempt with it. */
  async renew(): Promise<void> {
    const { tokens } = this;
    if (tokens === undefined) throw new RealtimeError('bad_request', NO_PROVIDER);
    tokens.refuse();
    const token = await tokens.fetch();
    // Without a connection, or with another user now, it is not for this one.
    if (!this.live || !tokens.isUnused(token)) return;
    const { promise, resolve, reject } = deferred<void>();
    this.present(tokens, token, (error) => (error === undefined ? resolve() : reject(error)));
    await promise;
  }

  /** The server sent `auth_required`. */
  demand(payload: unknown): void {
    if (this.tokens === undefined) {
      this.report(new RealtimeError('token_expired', NO_PROVIDER));
      return;
    }
    const withinMs = durationOf(recordOf(payload)['withinMs']);
    if (withinMs !== undefined) this.expiresAt = this.clock.monotonic() + withinMs;
    this.refresh(this.tokens);
  }

  /** The server accepted the token. Plans the refresh of it. */
  private renewed(token: string | undefined, expiresInMs: number | undefined): void {
    const { tokens } = this;
    this.expiresAt = this.clock.monotonic() + (expiresInMs ?? Infinity);
    if (tokens === undefined || token === undefined) return;
    tokens.accept(token, expiresInMs);
    if (expiresInMs === undefined) return;
    // Spread, so that the clients of one wave of reconnects do not all ask for tokens in the same second later.
    const lead = Math.min(MAX_LEAD_MS, expiresInMs / 5) * (1 + this.random());
    this.schedule(tokens, expiresInMs - lead);
  }

  private schedule(tokens: TokenSource, delayMs: number): void {
    this.timer?.cancel();
    this.timer = this.clock.schedule(delayMs, () => this.refresh(tokens));
  }

  private refresh(tokens: TokenSource): void {
    if (this.busy) return;
    const { life } = this;
    this.busy = true;
    this.timer?.cancel();
    tokens.fetch().then(
      (token) => {
        if (life !== this.life) return;
        this.present(tokens, token, (error) => {
          // `forbidden`: the token is another user's. Asking again gives the same one, and the old token stands.
          if (error !== undefined) this.failed(tokens, error, error.code !== 'forbidden');
        });
      },
      (error: unknown) => {
        if (life === this.life) this.failed(tokens, error, true);
      },
    );
  }

  /** @param done Called with the answer, or without one when the connection is gone. */
  private present(tokens: TokenSource, token: string, done: (error?: RealtimeError) => void): void {
    const { life } = this;
    this.commands.dispatch({ type: 'auth', payload: { token }, immediate: true }, (error, result) => {
      if (life !== this.life) return done();
      if (error === undefined) {
        this.busy = false;
        this.renewed(token, durationOf(recordOf(result)['expiresInMs']));
      } else {
        tokens.discard();
      }
      done(error);
    });
  }

  private failed(tokens: TokenSource, error: unknown, again: boolean): void {
    this.busy = false;
    this.report(error);
    const left = this.expiresAt - this.clock.monotonic();
    if (again && Number.isFinite(left) && left > MIN_RETRY_MS)
      this.schedule(tokens, Math.max(MIN_RETRY_MS, left / 2));
  }
}
