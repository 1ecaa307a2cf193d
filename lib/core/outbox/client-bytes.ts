/**
 * Bytes that this node holds for each client over all its connections: a user, or the anonymous clients of one address. Each
 * connection reports what changes; of a client that holds nothing, nothing is kept.
 */
export class ClientBytes {
  private readonly clients = new Map<string, number>();

  /** Clients that hold something. */
  get size(): number {
    return this.clients.size;
  }

  of(client: string): number {
    return this.clients.get(client) ?? 0;
  }

  /** Counts more, or less: what was counted is given back once. */
  change(client: string, bytes: number): void {
    const after = this.of(client) + bytes;
    if (after === 0) this.clients.delete(client);
    else this.clients.set(client, after);
  }
}
