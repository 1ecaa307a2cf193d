/** A channel with the defaults. */
export const LOGGED = 'bench.logged';
/** One without history and dedupe. */
export const UNLOGGED = 'bench.unlogged';
