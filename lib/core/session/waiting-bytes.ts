/** Part of what may wait that one client may fill. */
const CLIENT_PART = 1 / 8;
/** A command of up to so many bytes finds room if its client has none that waits, whatever those of others hold. */
const SHARE_BYTES = 16 * 1024;

/**
 * Memory of the commands that wait, and of those that run and are large, on all connections of a node: bounded over all of them
 * and for each client (G16).
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

  /** @param client whom limits over several connections count. @returns `false` where there is no room. */
  take(client: string, bytes: number): boolean {
    const own = this.clients.get(client);
    const isOverPart = own !== undefined && own + bytes > this.maxBytes * CLIENT_PART;
    const isShare = own === undefined && bytes <= SHARE_BYTES;
    if (isOverPart || (!isShare && this.total + bytes > this.maxBytes)) return false;
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
