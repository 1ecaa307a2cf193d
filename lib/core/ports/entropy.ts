import { randomBytes, randomFillSync } from 'node:crypto';

/** Randomness as the engine sees it; tests replace it. */
export interface Entropy {
  /** A unique id of at most 64 characters. */
  id(): string;
  /** A short unguessable name, e.g. of an epoch or a node. */
  token(): string;
  /** Uniform in [0, 1), for jitter only. */
  random(): number;
}

/** Bytes of an id: 120 bits, as good as a UUID's 122, and twenty characters without a pad. */
const ID_BYTES = 15;
/** Ids of one call to the operating system. */
const IDS_AT_ONCE = 128;

/**
 * The randomness of the operating system. Ids are made at the rate of publishes and live as long as a log keeps them: a
 * UUID of Node's is put together of some twenty pieces, ten times its size, and is nearly twice as long on the wire.
 */
function createSystemEntropy(): Entropy {
  const pool = Buffer.allocUnsafeSlow(ID_BYTES * IDS_AT_ONCE);
  let next = pool.length;
  return {
    id() {
      if (next === pool.length) {
        randomFillSync(pool);
        next = 0;
      }
      const start = next;
      next += ID_BYTES;
      return pool.toString('base64url', start, next);
    },
    token: () => randomBytes(9).toString('base64url'),
    random: () => Math.random(),
  };
}

/** Shared by all engines of the process, as the source behind it is: no two draw the same bytes. */
export const systemEntropy: Entropy = createSystemEntropy();
