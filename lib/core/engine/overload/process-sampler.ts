import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { totalmem } from 'node:os';
import type { ProcessLoad, ProcessSampler } from '../../ports/overload.js';

/** How often the event loop is measured, in milliseconds. */
const RESOLUTION_MS = 20;
const NANOSECONDS = 1e6;

/**
 * Reads the event loop and the memory of this process. The memory is what the process holds (RSS), as a share of what its container
 * may have, and the heap as a share of V8's own limit: at either end the process is killed.
 */
export class OwnProcess implements ProcessSampler {
  private loop: IntervalHistogram | undefined;
  /** When the loop was read last, in milliseconds of `performance`. */
  private readAt = 0;
  private readonly limitBytes: number;

  /** @param limitBytes bytes that the process may have. Default: those of its container; without one only the heap counts. */
  constructor(limitBytes = containerBytes()) {
    this.limitBytes = limitBytes ?? Number.POSITIVE_INFINITY;
  }

  start(): void {
    this.loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.loop.enable();
    this.readAt = performance.now();
  }

  read(): ProcessLoad {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    const memory = Math.max(process.memoryUsage.rss() / this.limitBytes, used / limit);
    return { loopDelayMs: this.takeDelay(), memory };
  }

  stop(): void {
    this.loop?.disable();
    this.loop = undefined;
  }

  private takeDelay(): number {
    const { loop } = this;
    if (loop === undefined) return 0;
    const now = performance.now();
    const passedMs = now - this.readAt;
    this.readAt = now;
    // The first turn after a reset begins a measurement, and ends none: a loop with one turn between two readings has none at all.
    if (loop.count === 0) return Math.max(0, passedMs - RESOLUTION_MS);
    const delayMs = loop.percentile(90) / NANOSECONDS - RESOLUTION_MS;
    loop.reset();
    return Math.max(0, delayMs);
  }
}

/** Bytes that the container of this process may have; `undefined` without one, which Node says with a number above the machine's. */
export function containerBytes(
  told: number | undefined = process.constrainedMemory(),
  machine = totalmem(),
): number | undefined {
  return told === undefined || told <= 0 || told >= machine ? undefined : told;
}
