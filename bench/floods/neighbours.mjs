/** Where the well-behaved neighbour is subscribed, and the application publishes ten times a second. */
export const NEIGHBOUR_CHANNEL = 'rooms.neighbour';
/** Events of a time before the flood, which nobody touches. */
export const QUIET_CHANNEL = 'rooms.quiet';
export const QUIET_EVENTS = 20;
