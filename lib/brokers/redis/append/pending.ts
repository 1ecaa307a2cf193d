import type { AppendOutcome, AppendRequest } from '../../../core/ports/broker.js';

export type AppendFailure = Extract<AppendOutcome, { ok: false }>['code'];

/** One append that waits for its outcome, and its place in the answer of its call. */
export interface PendingAppend {
  readonly request: AppendRequest;
  readonly body: string;
  readonly bytes: number;
  readonly call: AppendCall;
  readonly index: number;
}

/** One call of `appendMany`; its items may travel in several batches. */
export class AppendCall {
  readonly outcomes: AppendOutcome[] = [];
  readonly result: Promise<readonly AppendOutcome[]>;
  private resolve: (outcomes: readonly AppendOutcome[]) => void = () => undefined;

  constructor(private left: number) {
    this.result = new Promise((resolve) => (this.resolve = resolve));
  }

  settle(index: number, outcome: AppendOutcome): void {
    this.outcomes[index] = outcome;
    this.left -= 1;
    if (this.left === 0) this.resolve(this.outcomes);
  }
}

export function fail({ call, index }: PendingAppend, code: AppendFailure): void {
  call.settle(index, { ok: false, code });
}
