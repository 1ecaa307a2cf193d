import { SHEDDING_STEPS, type SheddingStep } from '../ports/overload.js';
import { spreadWait, type Entropy } from '../ports/entropy.js';
import type { RetryPolicy } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';

/** Shortest advice to a client that is refused, for each step that is taken, in milliseconds. Steps last for seconds at least. */
const RETRY_AFTER_MS = 5_000;

/** What this node gives up for now, as it is overloaded (G33). */
export class OverloadSwitch {
  private taken = 0;

  constructor(private readonly entropy: Pick<Entropy, 'random'>) {}

  /** How many steps are taken, in the order of {@link SHEDDING_STEPS}. */
  get steps(): number {
    return this.taken;
  }

  /** The last step that is taken; `undefined` for none. */
  get step(): SheddingStep | undefined {
    return SHEDDING_STEPS[this.taken - 1];
  }

  isOn(step: SheddingStep): boolean {
    return this.taken > SHEDDING_STEPS.indexOf(step);
  }

  /** So many steps are taken from now on. */
  change(steps: number): void {
    this.taken = steps;
  }

  /** When who is refused may try again, in milliseconds: longer the more is given up, and not all at once. */
  retryAfterMs(): number {
    return spreadWait(this.taken * RETRY_AFTER_MS, this.entropy);
  }

  /** @throws RealtimeError `unavailable` while a step is taken. */
  require(step: SheddingStep): void {
    if (!this.isOn(step)) return;
    throw new RealtimeError('unavailable', `This node is overloaded: ${step} pauses. Try again later`, {
      retryAfterMs: this.retryAfterMs(),
    });
  }

  /** What `welcome` advises: whose connection is lost now comes back over a longer time (P19). */
  advice(retry: RetryPolicy): RetryPolicy {
    if (this.taken === 0) return retry;
    const times = 1 + this.taken;
    const baseMs = Math.min(retry.baseMs * times, retry.maxMs);
    return { ...retry, baseMs, firstSpreadMs: retry.firstSpreadMs * times };
  }
}
