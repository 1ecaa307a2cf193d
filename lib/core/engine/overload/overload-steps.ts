import { RELIEF, SHEDDING_STEPS, type OverloadSample, type SheddingPolicy } from '../../ports/overload.js';

/** Longest time that one reading stands for, in milliseconds: while a process stands still, nothing is known of its load. */
const MAX_HELD_MS = 2_000;

/** So many times as much memory must be free as at the threshold before a node is relieved. */
const FREE_FOR_RELIEF = 1.5;

/** One step more, or one less. */
export interface StepChange {
  /** How many are taken now. */
  readonly steps: number;
  readonly isMore: boolean;
}

/**
 * Decides how many steps are taken (G33). Each needs its own time above a threshold, and each is undone after its own time well below
 * all of them: so they come and end one by one, in order, and a load at a threshold does not make them come and go.
 */
export class OverloadSteps {
  private taken = 0;
  private readonly most: number;
  /** Where the load points: 1 to more steps, -1 to fewer. */
  private heading = 0;
  /** For how long, in milliseconds. */
  private heldMs = 0;
  private readAt: number | undefined;

  constructor(private readonly policy: SheddingPolicy) {
    this.most = SHEDDING_STEPS.indexOf(policy.upTo) + 1;
  }

  /** @param now the monotonic clock. @returns what changes, if anything. */
  note(sample: OverloadSample, now: number): StepChange | undefined {
    const pressure = pressureOf(sample, this.policy);
    const heading = pressure >= 1 ? 1 : pressure < RELIEF ? -1 : 0;
    const passedMs = Math.min(now - (this.readAt ?? now), MAX_HELD_MS);
    this.readAt = now;
    this.heldMs = heading === this.heading ? this.heldMs + passedMs : 0;
    this.heading = heading;
    if (heading > 0 && this.taken < this.most && this.heldMs >= this.policy.raiseAfterMs) return this.move(1);
    if (heading < 0 && this.taken > 0 && this.heldMs >= this.policy.lowerAfterMs) return this.move(-1);
    return undefined;
  }

  private move(by: 1 | -1): StepChange {
    this.taken += by;
    this.heldMs = 0;
    return { steps: this.taken, isMore: by > 0 };
  }
}

/** The largest of the three loads, as a share of its threshold: 1 and more is an overload. */
function pressureOf(
  { loopDelayMs, memory, queueAgeMs }: OverloadSample,
  { loopDelayMs: loop, memoryPercent, queueAgeMs: age }: SheddingPolicy,
): number {
  return Math.max(loopDelayMs / loop, memoryPressure(memory * 100, memoryPercent), queueAgeMs / age);
}

/** What is free decides: few processes shrink to 0.6 of what they once took. */
function memoryPressure(percent: number, most: number): number {
  if (percent >= most) return 1;
  return 100 - percent < (100 - most) * FREE_FOR_RELIEF ? RELIEF : 0;
}
