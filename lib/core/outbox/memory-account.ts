/**
 * What this node keeps for one user, or for the anonymous clients of one address, over all their connections. Each
 * connection reports what changes.
 */
export class MemoryAccount {
  private queued = 0;
  private retained = 0;
  /** Connections that report to it. */
  holders = 0;

  constructor(readonly key: string) {}

  /** Bytes in the outboxes. */
  get queuedBytes(): number {
    return this.queued;
  }

  /** Bytes that are kept for subscriptions. */
  get retainedBytes(): number {
    return this.retained;
  }

  queue(change: number): void {
    this.queued += change;
  }

  retain(change: number): void {
    this.retained += change;
  }
}

/** The accounts of a node. One exists while a connection reports to it. */
export class MemoryAccounts {
  private readonly accounts = new Map<string, MemoryAccount>();

  get size(): number {
    return this.accounts.size;
  }

  /** Each call is matched by a {@link close}. */
  open(key: string): MemoryAccount {
    let account = this.accounts.get(key);
    if (account === undefined) this.accounts.set(key, (account = new MemoryAccount(key)));
    account.holders++;
    return account;
  }

  close(account: MemoryAccount): void {
    account.holders--;
    if (account.holders === 0) this.accounts.delete(account.key);
  }
}
