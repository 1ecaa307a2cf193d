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

/** The randomness of the operating system. */
export const systemEntropy: Entropy = {
  id: () => randomUUID(),
  token: () => randomBytes(9).toString('base64url'),
  random: () => Math.random(),
};
