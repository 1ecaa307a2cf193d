/** One record as a source has it. */
export interface SourceRecord<Raw> {
  /** What the application's `to` is given. */
  readonly raw: Raw;
  /** Id of its event: the same whenever the record is read, and that of no other record. At most 64 characters. */
  readonly id: string;
  /** Where it stands, for logs: partition and offset. Nothing of its content. */
  readonly place: string;
}

/** One partition, for as long as it is this node's. Its records are read in order, and by this node alone. */
export interface Lane<Raw> {
  /** For logs, such as `partition 3`. */
  readonly name: string;
  /** Aborted when it is this node's no longer, or is to be given back: no work begins after that. */
  readonly signal: AbortSignal;
  /** Whether no other node can have it yet, by the time since that was last proven. Asked before events are sent. Default: it is. */
  isHeld?(): boolean;
  /** Why it cannot be read now, where it tries again by itself. */
  readonly trouble?: string | undefined;
  /** The next records behind those that it gave before. Waits a while; none when nothing came. */
  next(): Promise<readonly SourceRecord<Raw>[]>;
  /**
   * All records up to this one were dealt with.
   *
   * @throws Error when that was not stored, or the lane is this node's no longer: the next owner reads them once more
   */
  commit(last: SourceRecord<Raw>): Promise<void>;
}

/** Works on lanes. */
export interface LaneWork<Raw> {
  /**
   * Works on a lane until its signal. What begins to fail in the source ends it.
   *
   * @throws Error of the source: its session is to be begun again
   */
  follow(lane: Lane<Raw>): Promise<void>;
  /** The source can be reached and its session has begun. */
  onReady(): void;
}

/** Where records come from. */
export interface RecordSource<Raw> {
  /**
   * One session: connects, has its lanes followed, and gives them back when `signal` is aborted. It is over when it settles.
   *
   * @throws Error when the source cannot be reached or fails
   */
  run(work: LaneWork<Raw>, signal: AbortSignal): Promise<void>;
  /** Records behind those that were committed, in the lanes of this node; `undefined` where that is not known. */
  lag(): number | undefined;
}
