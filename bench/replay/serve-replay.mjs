import { PeakMemory } from '../support/peak-memory.mjs';
import { serve } from '../support/server-side.mjs';

/**
 * Serves clients that come back.
 *
 * @param {(count: number) => Promise<object>} prepare Publishes what they miss, and resolves with what they need to say
 * where they were.
 * @param {() => number} logReads Reads of the log so far.
 */
export function serveReplay({ listen, prepare, logReads }) {
  const peak = new PeakMemory();
  let readsBefore = 0;
  let residentBefore = 0;
  return serve(listen, {
    prepare: ({ events }) => prepare(events),
    watch() {
      globalThis.gc?.();
      readsBefore = logReads();
      peak.reset();
      residentBefore = process.memoryUsage().rss;
      return {};
    },
    seen: () => ({ reads: logReads() - readsBefore, growth: peak.read() - residentBefore }),
  });
}
