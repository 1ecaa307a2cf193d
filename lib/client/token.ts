import { RealtimeError } from '../protocol/realtime-error.js';
import type { ClientClock } from './clock.js';
import type { TokenProvider } from './options.js';
import { deferred } from './promises.js';

/** A token that expires sooner than this would be refused on arrival. */
const STALE_MS = 5_000;
/** How long a token that no server has taken yet is used again: most live for longer, and a refused one costs an attempt. */
const UNUSED_MS = 60_000;

/** A token for one attempt to connect. */
export interface TakenToken {
  readonly token: string;
  /** Whether the provider gave it for this very attempt: only then a refusal is final (4801). */
  readonly fresh: boolean;
}

/** A token, and until when an attempt may use it: a moment of the client's clock. */
interface Held {
  readonly token: string;
  readonly until: number;
}

/**
 * The application's tokens. Asks the provider unless there is a token that the server accepted and that does not expire
 * soon, or one that no server has seen yet; and only once at a time.
 */
export class TokenSource {
  /** The last token that the server accepted. */
  private accepted: Held | undefined;
  /** The last token that the provider gave, until a server has decided about it. */
  private unused: Held | undefined;
  private running: Promise<string> | undefined;

  constructor(
    private readonly provider: TokenProvider,
    private readonly clock: ClientClock,
    private readonly timeoutMs: number,
  ) {}

  /** A token to connect with. */
  async take(): Promise<TakenToken> {
    const now = this.clock.monotonic();
    for (const held of [this.accepted, this.unused])
      if (held !== undefined && held.until > now) return { token: held.token, fresh: false };
    return { token: await this.fetch(), fresh: true };
  }

  /** A new token from the provider; the same one for every caller until the provider has answered. */
  fetch(): Promise<string> {
    if (this.running !== undefined) return this.running;
    const running = this.ask();
    this.running = running;
    const settled = (token?: string): void => {
      // Who logged out meanwhile is not to act again.
      if (this.running !== running) return;
      this.running = undefined;
      if (token !== undefined) this.unused = { token, until: this.clock.monotonic() + UNUSED_MS };
    };
    running.then(settled, () => settled());
    return running;
  }

  /** The server accepted the token. `expiresInMs` as it said; `undefined` for a token without an end. */
  accept(token: string, expiresInMs = Infinity): void {
    this.unused = undefined;
    this.accepted = { token, until: this.clock.monotonic() + expiresInMs - STALE_MS };
  }

  /** Whether no server has decided about the token, and nobody else logged in since. */
  isUnused(token: string): boolean {
    return this.unused?.token === token;
  }

  /** The server refused the token that is not accepted yet; the accepted one still stands. */
  discard(): void {
    this.unused = undefined;
  }

  /** The server refused the last token, or it expired (4008, 4801): the next attempt needs a new one. */
  refuse(): void {
    this.accepted = this.unused = undefined;
  }

  /** Another user may come: nothing of this one is kept, nor what the provider is about to give. */
  forget(): void {
    this.refuse();
    this.running = undefined;
  }

  private async ask(): Promise<string> {
    const late = deferred<never>();
    const timer = this.clock.schedule(this.timeoutMs, () =>
      late.reject(
        new RealtimeError('timeout', `The option "token" gave no token within ${this.timeoutMs} ms`),
      ),
    );
    try {
      const token: unknown = await Promise.race([this.provider(), late.promise]);
      if (typeof token === 'string' && token !== '') return token;
      throw new RealtimeError(
        'unavailable',
        `The option "token" gave no token but ${token === '' ? "''" : typeof token}`,
      );
    } finally {
      timer.cancel();
    }
  }
}
