import type { Partition, PartitionDigests } from '../machine/partition.js';

/** Records between two places at which nodes compare their digests. */
const STEP = 64;
/** Places that are remembered: other nodes may be as many records ahead or behind. */
const MAX_PLACES = 64;

/** What a node has read and answered up to a place of a partition, for the others to compare. */
export interface DigestReport extends PartitionDigests {
  readonly partition: number;
  /** The life of the log that the offset belongs to. */
  readonly incarnation: string;
  /** Leases of those who answer as this node does, where somebody answers something else; otherwise none. */
  readonly alike: readonly string[];
}

/** How what another node says fits to what this one has. `unknown`: this one does not remember the place, or has not come to it. */
export type Comparison = 'same' | 'other_input' | 'other_outcome' | 'unknown';

/** The digests of a partition at places where every node notes them: each first record at or behind a multiple. */
export class DigestTrail {
  /** Ascending. */
  private places: PartitionDigests[] = [];
  private of: Partition | undefined;
  private last = -1;

  /** The newest; `undefined` before the first. */
  get newest(): PartitionDigests | undefined {
    return this.places.at(-1);
  }

  /** To be called with each record, after it. */
  note(partition: Partition): void {
    const { position } = partition;
    if (this.of !== partition) this.begin(partition);
    else if (Math.floor(position / STEP) !== Math.floor(this.last / STEP)) {
      this.places.push(partition.digests);
      if (this.places.length > MAX_PLACES) this.places.shift();
    }
    this.last = position;
  }

  compare({ offset, input, outcome }: PartitionDigests): Comparison {
    const own = this.places.find((place) => place.offset === offset);
    if (own === undefined) return 'unknown';
    if (own.input !== input) return 'other_input';
    return own.outcome === outcome ? 'same' : 'other_outcome';
  }

  /** The state is another one: what it was before says nothing of it. Its first record is no place, as others may have one before it. */
  private begin(partition: Partition): void {
    this.of = partition;
    this.places = [];
  }
}
