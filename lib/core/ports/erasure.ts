/** Begins the names of events that are the library's own: no client and no application publishes one (P31c). */
export const RESERVED_EVENTS = '$';

/** Name of the events that say what was erased: the notice, and what is left in the place of an erased event (P31). */
export const ERASED_EVENT = '$erased';

/** Most events that one {@link EraseRequest} names. */
export const MAX_ERASED = 1_000;

/** Erases events of a log: they keep their places, and nothing else. */
export interface EraseRequest {
  /** Name of the channel. */
  readonly channel: string;
  /** Which events, ascending, each once; at most {@link MAX_ERASED}. Those that are not kept are passed over. */
  readonly seqs: readonly number[];
}

/** The payload of an `$erased` event. */
export interface ErasedPayload {
  /** Places of the erased events in the log of the channel. */
  readonly seqs: readonly number[];
}

/** What is left of an erased event. */
export interface Tombstone {
  readonly id: string;
  readonly event: string;
  readonly payload: ErasedPayload;
}

/** What is left of an erased event, in its place. */
export function tombstoneOf(seq: number): Tombstone {
  return { id: `erased-${seq}`, event: ERASED_EVENT, payload: { seqs: [seq] } };
}
