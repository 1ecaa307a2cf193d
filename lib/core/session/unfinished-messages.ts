import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';

/** Less than this is not worth counting: it is about what an idle connection costs. */
const SMALL_BYTES = 4 * 1024;

/**
 * What the clients of a node have sent that cannot run yet: messages that have not ended, commands before `welcome`. Each may be as large as a frame may be, and nothing
 * says when it ends, so a thousand connections could hold hundreds of megabytes without one command. Where all of them exceed
 * the bound, the largest is shed, and of equals the oldest: a client that sends and goes on is neither.
 */
export class UnfinishedMessages implements UnfinishedBytes {
  /** In the order in which they began. */
  private readonly held = new Map<UnfinishedSender, number>();
  private total = 0;

  /** @param maxBytes over all connections. @param onShed called with the address of each client that is shed. */
  constructor(
    private readonly maxBytes: number,
    private readonly onShed: (ip: string) => void = () => undefined,
  ) {}

  /** Bytes that are counted. */
  get bytes(): number {
    return this.total;
  }

  note(sender: UnfinishedSender, bytes: number): void {
    const before = this.held.get(sender) ?? 0;
    const counted = bytes < SMALL_BYTES ? 0 : bytes;
    if (counted === before) return;
    this.total += counted - before;
    if (counted === 0) this.held.delete(sender);
    else this.held.set(sender, counted);
    while (this.total > this.maxBytes) this.shedLargest();
  }

  /** Looks at all of them, at most a few thousand: it happens once for each connection that is lost by it. */
  private shedLargest(): void {
    let largest: UnfinishedSender | undefined;
    let most = 0;
    for (const [sender, bytes] of this.held) {
      if (bytes <= most) continue;
      largest = sender;
      most = bytes;
    }
    if (largest === undefined) return;
    this.held.delete(largest);
    this.total -= most;
    this.onShed(largest.ip);
    largest.shed();
  }
}
