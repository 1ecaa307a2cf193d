/** A channel with the defaults. */
export const LOGGED = 'bench.logged';
/** A channel that keeps nothing and remembers no ids. */
export const UNLOGGED = 'bench.unlogged';
