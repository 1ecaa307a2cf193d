// What the things of a store weigh: fixed bytes for each record plus the bytes of what it holds. The figures are those of
// V8 on 64 bits, rounded up, so that a store never takes more of the heap than it says (docs/limits.md).

/** A channel: its record, log, lists and places in the heaps. Its name counts too. */
export const CHANNEL_BYTES = 700;
/** An event without its payload, and its frame as it was sent. Its own bytes count too. */
export const EVENT_BYTES = 400;
/** A remembered id: its entry in the map and the list of its producer. Its texts count too. */
export const ID_BYTES = 280;
/** A producer of remembered ids. Its name counts too. */
export const PRODUCER_BYTES = 140;
/** The ids of one producer whose windows have one length. */
export const ID_LANE_BYTES = 140;
/** A room of members. */
export const ROOM_BYTES = 900;
/** A member, without its data and devices. */
export const MEMBER_BYTES = 450;
/** A device of a member. */
export const DEVICE_BYTES = 250;
