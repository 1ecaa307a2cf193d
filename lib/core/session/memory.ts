import { RealtimeError } from '../../protocol/realtime-error.js';
import type { MemoryAccount, MemoryAccounts } from '../outbox/memory-account.js';

/** When a client may try again what would have kept too much, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
/** What an anonymous connection may keep whatever others at its address keep: they do not know each other. */
const SHARE_BYTES = 16 * 1024;

export interface SessionMemoryDeps {
  readonly accounts: MemoryAccounts;
  readonly settings: {
    readonly limits: { readonly maxRetainedBytes: number; readonly maxRetainedBytesPerUser: number };
  };
}

/** The client whose memory is counted. */
export interface MemoryHolder {
  /** Whose memory it is counted as. */
  readonly client: string;
  readonly userId: string | undefined;
  readonly isLive: boolean;
}

/**
 * What the node keeps for one connection for as long as it lives: its subscriptions, with their parameters and presence data.
 * Counted exactly: what is kept is given back when it ends, and everything with the connection.
 */
export class SessionMemory {
  private opened: MemoryAccount | undefined;
  private retained = 0;
  private ended = false;

  constructor(
    private readonly deps: SessionMemoryDeps,
    private readonly holder: MemoryHolder,
  ) {}

  get retainedBytes(): number {
    return this.retained;
  }

  /** What all connections of the client hold; `undefined` before `welcome`, and after the end. */
  get account(): MemoryAccount | undefined {
    if (this.opened === undefined && this.holder.isLive && !this.ended)
      this.opened = this.deps.accounts.open(this.holder.client);
    return this.opened;
  }

  /** @throws RealtimeError `rate_limited` when the connection, or the user, would retain too much; nothing is counted then. */
  retain(bytes: number): void {
    const { maxRetainedBytes, maxRetainedBytesPerUser } = this.deps.settings.limits;
    const after = this.retained + bytes;
    if (bytes > 0 && after > maxRetainedBytes)
      throw tooMuch('connection', 'maxRetainedBytes', maxRetainedBytes);
    const { account, holder } = this;
    const isOwn = holder.userId === undefined && after <= SHARE_BYTES;
    if (bytes > 0 && !isOwn && (account?.retainedBytes ?? 0) + bytes > maxRetainedBytesPerUser)
      throw tooMuch('user', 'maxRetainedBytesPerUser', maxRetainedBytesPerUser);
    this.change(bytes);
  }

  /** Gives back what was kept. */
  release(bytes: number): void {
    this.change(-bytes);
  }

  /** Gives everything back. What is released later was released here. */
  end(): void {
    this.release(this.retained);
    this.ended = true;
    if (this.opened !== undefined) this.deps.accounts.close(this.opened);
    this.opened = undefined;
  }

  private change(bytes: number): void {
    // -0 would make V8 keep a field as an object of its own.
    if (this.ended || bytes === 0) return;
    this.retained += bytes;
    this.account?.retain(bytes);
  }
}

function tooMuch(whose: string, limit: string, bytes: number): RealtimeError {
  return new RealtimeError(
    'rate_limited',
    `The subscriptions of this ${whose} keep as much as limits.${limit} allows (${bytes} bytes): ` +
      'unsubscribe from a channel, or send less params and presence data',
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
