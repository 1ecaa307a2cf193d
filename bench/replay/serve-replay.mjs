import { PeakMemory } from '../support/peak-memory.mjs';
import { serve } from '../support/server-side.mjs';

/**
 * Serves clients that come back.
 *
 * @param {(count: number) => Promise<object>} prepare Publishes what they miss, and resolves with what they need to say
 * where they were.
 * @param {() => { events: number, proofs: number }} logReads Reads of the log so far: of events, and of proofs of positions.
 */
export function serveReplay({ listen, prepare, logReads }) {
  const peak = new PeakMemory();
  let before = logReads();
  let residentBefore = 0;
  return serve(listen, {
    prepare: ({ events }) => prepare(events),
    watch() {
      globalThis.gc?.();
      before = logReads();
      peak.reset();
      residentBefore = process.memoryUsage().rss;
      return {};
    },
    seen() {
      const { events, proofs } = logReads();
      return {
        reads: events - before.events,
        proofs: proofs - before.proofs,
        growth: peak.read() - residentBefore,
      };
    },
  });
}
