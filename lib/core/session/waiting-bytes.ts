/** Part of what may wait that one client may fill. */
const CLIENT_PART = 1 / 8;

/** Bytes of the commands that wait on all connections of a node, bounded over all of them and for each client (G16). */
export class WaitingBytes {
  private readonly clients = new Map<string, number>();
  private total = 0;

  /** @param maxBytes over all clients. One that has nothing waiting always finds room for a command. */
  constructor(private readonly maxBytes: number) {}

  /** Bytes that wait. */
  get bytes(): number {
    return this.total;
  }

  /** @param client whom limits over several connections count. @returns `false` where there is no room. */
  take(client: string, bytes: number): boolean {
    const own = this.clients.get(client);
    if (own !== undefined) {
      if (own + bytes > this.maxBytes * CLIENT_PART || this.total + bytes > this.maxBytes) return false;
    }
    this.clients.set(client, (own ?? 0) + bytes);
    this.total += bytes;
    return true;
  }

  /** Each byte that was taken is given back once. */
  give(client: string, bytes: number): void {
    const left = (this.clients.get(client) ?? 0) - bytes;
    if (left > 0) this.clients.set(client, left);
    else this.clients.delete(client);
    this.total -= bytes;
  }
}
