/** Part of what may wait that one client may fill. */
const CLIENT_PART = 1 / 8;
/** What a client finds room for, whatever the commands of others hold. */
const SHARE_BYTES = 16 * 1024;

/**
 * Memory of the commands that wait, and of those that run, on all connections of a node: bounded over all of them and for each
 * client (G16).
 */
export class WaitingBytes {
  private readonly clients = new Map<string, number>();
  private total = 0;

  /** @param maxBytes over all clients. */
  constructor(private readonly maxBytes: number) {}

  /** Bytes that are held. */
  get bytes(): number {
    return this.total;
  }

  /** @param client whom limits over several connections count. */
  hasRoom(client: string, bytes: number): boolean {
    const all = this.total + bytes;
    // Whoever holds it: nobody can hold too much of so little.
    if (all <= this.maxBytes * CLIENT_PART) return true;
    const own = this.clients.get(client);
    const after = (own ?? 0) + bytes;
    if (after <= SHARE_BYTES) return true;
    const isOverPart = own !== undefined && after > this.maxBytes * CLIENT_PART;
    return !isOverPart && all <= this.maxBytes;
  }

  /** Takes it where there is room. @returns `false` where there is none. */
  take(client: string, bytes: number): boolean {
    if (!this.hasRoom(client, bytes)) return false;
    this.hold(client, bytes);
    return true;
  }

  /** Takes it whether there is room or not: it is there. */
  hold(client: string, bytes: number): void {
    this.clients.set(client, (this.clients.get(client) ?? 0) + bytes);
    this.total += bytes;
  }

  /** Each byte that was taken is given back once. */
  give(client: string, bytes: number): void {
    const left = (this.clients.get(client) ?? 0) - bytes;
    if (left > 0) this.clients.set(client, left);
    else this.clients.delete(client);
    this.total -= bytes;
  }
}
