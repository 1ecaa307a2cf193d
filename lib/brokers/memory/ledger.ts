/**
 * What a store weighs, to the byte: every record is charged when it is made, and credited the moment it ends. Nothing is
 * estimated, and nothing is given back late.
 */
export class Ledger {
  private total = 0;

  /** @param max Most bytes that may be charged. */
  constructor(readonly max: number) {}

  /** Bytes that are charged. */
  get bytes(): number {
    return this.total;
  }

  charge(bytes: number): void {
    this.total += bytes;
  }

  credit(bytes: number): void {
    this.total -= bytes;
  }

  /** Whether so many bytes more would be within the bound. */
  fits(bytes: number): boolean {
    return this.total + bytes <= this.max;
  }
}
