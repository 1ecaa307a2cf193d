import { describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { runPairs, stepsOf } from '../../support/hooks/transition-pairs.js';
import { patience } from '../../support/patience.js';

const STEPS = stepsOf(120);
const STEP_MS = 50;
/** More than a lease, and the time after which another node consumes. */
const MOST_MS = 60_000;

describe('what begins and ends, on three nodes of which some are killed', () => {
  it(
    'is recorded once each, in order, for each channel and member (G32)',
    async () => {
      const clock = new ManualClock();
      const store = new MemoryStore({ clock });
      const report = await runPairs({
        steps: STEPS,
        clock,
        broker: () => memoryBroker({ store }),
        leaseMs: 3_000,
        graceMs: 500,
        pause: (ms) => clock.advanceAsync(ms),
        async until(what, condition) {
          for (let left = MOST_MS; !condition(); left -= STEP_MS) {
            if (left <= 0) throw new Error(`In vain for ${what}`);
            await clock.advanceAsync(STEP_MS);
          }
        },
      });
      if (STEPS >= 1_000) console.log(JSON.stringify(report));
      expect(report.pairs).toBeGreaterThan(STEPS / 10);
      expect(report.steps.kill).toBeGreaterThan(0);
    },
    patience(STEPS * 200),
  );
});
