import { randomBytes, randomUUID } from 'node:crypto';

/** Randomness as the engine sees it; tests replace it. */
export interface Entropy {
  /** A unique id of at most 64 characters. */
  id(): string;
  /** A short unguessable name, e.g. of an epoch or a node. */
  token(): string;
  /** Uniform in [0, 1), for jitter only. */
  random(): number;
}

/**
 * Node makes a UUID of some twenty pieces, which stay in memory for as long as it is kept: ten times its size. Reading it
 * as a number joins them.
 */
function joined(text: string): string {
  Number(text);
  return text;
}

/** The randomness of the operating system. */
export const systemEntropy: Entropy = {
  id: () => joined(randomUUID()),
  token: () => randomBytes(9).toString('base64url'),
  random: () => Math.random(),
};
