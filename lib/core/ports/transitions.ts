/** Something that is held: a channel, or a member of one. It begins with its first holder and ends with its last. */
export interface HeldThing {
  /** Name of the channel. */
  readonly channel: string;
  /** The member; absent where the channel itself is held. */
  readonly member?: string | undefined;
}

/** One holder of a thing: a node of a channel, a device of a member. */
export interface Hold extends HeldThing {
  /** Who holds it. */
  readonly holder: string;
  /** Generation of the holder; an older one neither renews nor ends what a newer one holds (P28). */
  readonly generation: number;
}

/** A thing got its first holder, or lost its last. */
export interface Transition extends HeldThing {
  /** Never used twice, and the same however often it is handed over. Of one thing, later ones have greater `at`, or the same. */
  readonly id: string;
  /** `true` when it got its first holder, `false` when its last one ended. */
  readonly held: boolean;
  /** When, in milliseconds since the Unix epoch, by the broker's clock. */
  readonly at: number;
}

/**
 * Facts about the whole cluster that begin and end: a channel has subscribers, a member is there. Kept by leases, so that nodes that
 * were killed end too; the transitions are decided, and recorded, where the state lies, in one step with it: of each thing they
 * alternate, beginning with `held: true`, whatever happens to nodes.
 *
 * One node of the cluster is the consumer of a transition. It is handed over until {@link done} was called, again by another node
 * where the consumer ended before that: at least once, in the order in which it happened.
 */
export interface BrokerTransitions {
  /**
   * Adds holders, or renews them; one that was released holds again. Each ends after `leaseMs` unless renewed. One that is known with
   * a newer generation is left as it is.
   */
  hold(holds: readonly Hold[], leaseMs: number): Promise<void>;
  /** Ends a holder after `graceMs`, unless it holds again in time. One that is not there, or has a newer generation, is left as it is. */
  release(hold: Hold, graceMs: number): Promise<void>;
  /**
   * Hands over what nobody consumes yet, oldest first, at most so many; what this node was handed before, and still consumes, is left
   * out. To be called again and again, with 0 where nothing can be taken: a node that does not call for some seconds is no consumer
   * any more. Ends leases that ran out.
   */
  take(limit: number): Promise<readonly Transition[]>;
  /** These were dealt with; they are never handed over again. Where that cannot be stored now, it is stored later. */
  done(ids: readonly string[]): Promise<void>;
}
