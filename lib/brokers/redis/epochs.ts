import type { Entropy } from '../../core/ports/entropy.js';

/**
 * Names for epochs that a script may have to begin. Almost none is used, so asking for randomness each time would be
 * wasted: one random name per broker, and a number behind it.
 */
export class EpochNames {
  private readonly start: string;
  private count = 0;

  constructor(entropy: Entropy) {
    this.start = entropy.token();
  }

  /** A name that no other call, of this broker or another, was given. */
  next(): string {
    this.count += 1;
    return `${this.start}-${this.count.toString(36)}`;
  }
}
