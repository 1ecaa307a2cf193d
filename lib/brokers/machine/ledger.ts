/**
 * What a store weighs, to the byte: every record is charged when it is made, and credited the moment it ends. Nothing is
 * estimated, and nothing is given back late.
 *
 * It has two accounts. `held` is what may not be dropped before its time: ids, members, and the channels that have one of them or a
 * subscriber. `loose` is what gives way to it: events, and the records of all other channels.
 */
export class Ledger {
  private held = 0;
  private loose = 0;

  /** @param max Most bytes that may be charged. */
  constructor(readonly max: number) {}

  /** Bytes that are charged. */
  get bytes(): number {
    return this.held + this.loose;
  }

  save(): LedgerState {
    return [this.held, this.loose];
  }

  /** After all that is charged was restored, whatever that charged. */
  restore([held, loose]: LedgerState): void {
    this.held = held;
    this.loose = loose;
  }

  charge(bytes: number): void {
    this.held += bytes;
  }

  credit(bytes: number): void {
    this.held -= bytes;
  }

  chargeLoose(bytes: number): void {
    this.loose += bytes;
  }

  creditLoose(bytes: number): void {
    this.loose -= bytes;
  }

  /** Whether so many bytes more would be within the bound. */
  fits(bytes: number): boolean {
    return this.held + this.loose + bytes <= this.max;
  }

  /** Whether so many bytes more would be within the bound if all that is loose were dropped. */
  canFit(bytes: number): boolean {
    return this.held + bytes <= this.max;
  }
}

/** A {@link Ledger} in a checkpoint. */
export type LedgerState = readonly [held: number, loose: number];
