import type { ProcessLoad, ProcessSampler, SheddingPolicy } from '../../../lib/core/ports/overload.js';

/** Thresholds of tests: a step after 2 s, its end after 4 s. */
export const SHEDDING: SheddingPolicy = {
  loopDelayMs: 100,
  memoryPercent: 90,
  queueAgeMs: 1_000,
  raiseAfterMs: 2_000,
  lowerAfterMs: 4_000,
  upTo: 'presence',
};

/** A process whose load a test sets. */
export class SetLoad implements ProcessSampler {
  load: ProcessLoad = { loopDelayMs: 0, memory: 0.5 };
  running = false;

  start(): void {
    this.running = true;
  }

  read(): ProcessLoad {
    return this.load;
  }

  stop(): void {
    this.running = false;
  }

  /** The event loop is so late from now on. */
  late(loopDelayMs: number): void {
    this.load = { ...this.load, loopDelayMs };
  }
}
