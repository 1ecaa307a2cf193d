/** Most requests of one address that another node has neither answered nor confirmed. */
const MAX_PER_ADDRESS = 1_024;
/** The same of all addresses. */
const MAX_PER_NODE = 16_384;
/** Most bytes of their bodies: of one address, and of all. */
const MAX_ADDRESS_BYTES = 4 * 1024 * 1024;
const MAX_NODE_BYTES = 32 * 1024 * 1024;
/** Most bytes of an answer that may come unasked: while few requests are under way, and while many are. */
const ROOM_BYTES = 16 * 1024;
const LEAST_ROOM_BYTES = 1024;
const FEW = 256;
/** Most requests that wait at another node, which knows their sessions. */
const MAX_HELD = 131_072;

interface Load {
  count: number;
  bytes: number;
}

/** Which bound a request would pass. */
export type Excess = 'address' | 'node';

/** Counts what is under way to other nodes: an address cannot take the room of the others, nor all of them that of the node. */
export class RelayBounds {
  private readonly addresses = new Map<string, Load>();
  private readonly all: Load = { count: 0, bytes: 0 };
  private held = 0;

  /** Most bytes of an answer that may come unasked to a request that is sent now. */
  get room(): number {
    return this.all.count <= FEW ? ROOM_BYTES : LEAST_ROOM_BYTES;
  }

  /** Counts a request that is sent. @returns which bound it would pass; then it is not counted. */
  enter(network: string, bytes: number): Excess | undefined {
    const own = this.addresses.get(network);
    if (own !== undefined && (own.count >= MAX_PER_ADDRESS || own.bytes + bytes > MAX_ADDRESS_BYTES))
      return 'address';
    const { all } = this;
    if (all.count >= MAX_PER_NODE || all.bytes + bytes > MAX_NODE_BYTES || this.held >= MAX_HELD)
      return 'node';
    all.count++;
    all.bytes += bytes;
    if (own === undefined) this.addresses.set(network, { count: 1, bytes });
    else {
      own.count++;
      own.bytes += bytes;
    }
    return undefined;
  }

  /** The other node has it, or it is over. */
  leave(network: string, bytes: number): void {
    const own = this.addresses.get(network);
    if (own === undefined) return;
    own.count--;
    own.bytes -= bytes;
    if (own.count === 0) this.addresses.delete(network);
    this.all.count--;
    this.all.bytes -= bytes;
  }

  /** It waits at the other node. */
  hold(): void {
    this.held++;
  }

  release(): void {
    this.held--;
  }
}
