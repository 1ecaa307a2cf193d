/** Part of what may wait that one client may fill. */
const CLIENT_PART = 1 / 8;
/** What a client finds room for, whatever the commands of others hold. */
const SHARE_BYTES = 16 * 1024;

/** Clients that hold nothing are kept up to this number, or to half of all: most ask again soon. */
const FEW = 1_024;

/** What one client holds; changed in place, so that a command makes no object. */
interface Held {
  bytes: number;
}

/**
 * Memory of the commands that wait, and of those that run, on all connections of a node: bounded over all of them and for each
 * client (G16).
 */
export class WaitingBytes {
  private readonly clients = new Map<string, Held>();
  /** Those that hold nothing. */
  private idle = 0;
  private total = 0;

  /** @param maxBytes over all clients. */
  constructor(private readonly maxBytes: number) {}

  /** Bytes that are held. */
  get bytes(): number {
    return this.total;
  }

  /** Clients that are known. */
  get size(): number {
    return this.clients.size;
  }

  /** @param client whom limits over several connections count. */
  hasRoom(client: string, bytes: number): boolean {
    const all = this.total + bytes;
    // Whoever holds it: nobody can hold too much of so little.
    if (all <= this.maxBytes * CLIENT_PART) return true;
    const own = this.clients.get(client)?.bytes ?? 0;
    const after = own + bytes;
    if (after <= SHARE_BYTES) return true;
    const isOverPart = own > 0 && after > this.maxBytes * CLIENT_PART;
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
    if (bytes === 0) return;
    const held = this.clients.get(client);
    if (held === undefined) this.clients.set(client, { bytes });
    else {
      if (held.bytes === 0) this.idle--;
      held.bytes += bytes;
    }
    this.total += bytes;
  }

  /** Each byte that was taken is given back once. */
  give(client: string, bytes: number): void {
    const held = this.clients.get(client);
    if (held === undefined || bytes === 0) return;
    held.bytes -= bytes;
    this.total -= bytes;
    if (held.bytes > 0) return;
    this.idle++;
    if (this.idle > FEW && this.idle * 2 > this.clients.size) this.sweep();
  }

  private sweep(): void {
    for (const [client, { bytes }] of this.clients) if (bytes === 0) this.clients.delete(client);
    this.idle = 0;
  }
}
