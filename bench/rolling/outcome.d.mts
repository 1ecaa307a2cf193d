/** What a part of the run in which clients lose their node did to them. Times are in milliseconds. */
export interface Move {
  readonly moved: number;
  readonly silences: readonly number[];
  readonly stayed: readonly number[];
  readonly connects: number;
  readonly refused: number;
  readonly overMs: number;
  readonly largestPerSecond: number;
}

export function largestRate(moments: readonly number[], windowMs: number): number;

export function moveOf(measured: {
  readonly clients: readonly { readonly longest: number; readonly moved: boolean }[];
  readonly accepted: readonly number[];
  readonly refused: number;
}): Move;
