/** The place of a session among those of its user, on all nodes. */
export interface Standing {
  /** Older sessions have smaller ones. Two nodes may give the same; then the names of the nodes decide. */
  readonly order: number;
  /** The nodes that were asked about its user; `undefined` once it is decided that it may stay. */
  asked: ReadonlySet<string> | undefined;
}
