import { randomFillSync } from 'node:crypto';

/** Randomness as the engine sees it; tests replace it. */
export interface Entropy {
  /** A unique id of at most 64 characters. */
  id(): string;
  /** A short unguessable name, e.g. of an epoch or a node. */
  token(): string;
  /** Uniform in [0, 1), for jitter only. */
  random(): number;
}

/** Shortest span over which those are spread who are told the same. */
const MIN_SPREAD_MS = 250;

/**
 * Advice to clients whose wait has a cause that they share, such as the rate of their user: told the same, they would come back
 * together. @returns the wait and up to as long again, at least a quarter of a second.
 */
export function spreadWait(waitMs: number, entropy: Pick<Entropy, 'random'>): number {
  return Math.ceil(waitMs + entropy.random() * Math.max(waitMs, MIN_SPREAD_MS));
}

/** Bytes of an id: 120 bits, as good as a UUID's 122, and twenty characters without a pad. */
const ID_BYTES = 15;
const TOKEN_BYTES = 9;
/** Random bytes that are fetched at once from the operating system: enough for a hundred ids. */
const POOL_BYTES = 1_500;

const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
let next = POOL_BYTES;

function randomText(bytes: number): string {
  if (next + bytes > POOL_BYTES) {
    randomFillSync(pool);
    next = 0;
  }
  const start = next;
  next += bytes;
  return pool.toString('base64url', start, next);
}

/**
 * The randomness of the operating system. Ids are made at the rate of publishes and live as long as a log keeps them: Node
 * builds a UUID from some twenty strings, ten times its size, and it is nearly twice as long on the wire. All engines of the
 * process share the source: no two draw the same bytes.
 */
export const systemEntropy: Entropy = {
  id: () => randomText(ID_BYTES),
  token: () => randomText(TOKEN_BYTES),
  random: () => Math.random(),
};
