import { RealtimeError } from '../protocol/realtime-error.js';
import type { ClientClock } from './clock.js';
import type { TokenProvider } from './options.js';
import { deferred } from './promises.js';

/** A token that expires sooner than this would be refused on arrival. */
const STALE_MS = 5_000;

/** A token for one attempt to connect. */
export interface TakenToken {
  readonly token: string;
  /** Whether the provider gave it for this very attempt: only then a refusal is final (4801). */
  readonly fresh: boolean;
}

/**
 * The application's tokens. Asks the provider unless there is a token that the server accepted and that does not expire
 * soon, and only once at a time.
 */
export class TokenSource {
  /** The last token that the server accepted. */
  private accepted: { readonly token: string; readonly until: number } | undefined;
  private candidate: string | undefined;
  private running: Promise<string> | undefined;

  constructor(
    private readonly provider: TokenProvider,
    private readonly clock: ClientClock,
    private readonly timeoutMs: number,
  ) {}

  /** A token to connect with. */
  async take(): Promise<TakenToken> {
    const { accepted } = this;
    if (accepted !== undefined && accepted.until - this.clock.monotonic() > STALE_MS) {
      this.candidate = accepted.token;
      return { token: accepted.token, fresh: false };
    }
    return { token: await this.fetch(), fresh: true };
  }

  /** A new token from the provider; the same one for every caller until the provider has answered. */
  fetch(): Promise<string> {
    this.running ??= this.ask().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** The server accepted the last token. `expiresInMs` as it said; `undefined` for a token without an end. */
  accept(expiresInMs: number | undefined): void {
    if (this.candidate === undefined) return;
    this.accepted = { token: this.candidate, until: this.clock.monotonic() + (expiresInMs ?? Infinity) };
  }

  /** The server refused the last token, or it expired (4008, 4801). */
  refuse(): void {
    this.accepted = undefined;
  }

  private async ask(): Promise<string> {
    const late = deferred<never>();
    const timer = this.clock.schedule(this.timeoutMs, () =>
      late.reject(
        new RealtimeError('timeout', `The token provider gave no token within ${this.timeoutMs} ms`),
      ),
    );
    try {
      const token: unknown = await Promise.race([this.provider(), late.promise]);
      if (typeof token !== 'string' || token === '') {
        throw new RealtimeError('unavailable', 'The option "token" gave no string, or an empty one');
      }
      this.candidate = token;
      return token;
    } finally {
      timer.cancel();
    }
  }
}
