import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../lib/core/ports/clock.js';
import { runPairs, stepsOf } from '../support/hooks/transition-pairs.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const STEPS = stepsOf(50);

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterAll(() => kit.dispose());

describe('what begins and ends, on three nodes with Redis of which some are killed', () => {
  it(
    'is recorded once each, in order, for each channel and member (G32)',
    async () => {
      const report = await runPairs({
        steps: STEPS,
        clock: systemClock,
        broker: () => kit.make(),
        leaseMs: stretched(1_500),
        graceMs: stretched(100),
        pause: elapse,
        until: (what, condition) => until(what, condition, patience(30_000)),
      });
      if (STEPS >= 1_000) console.log(JSON.stringify(report));
      expect(report.pairs).toBeGreaterThan(STEPS / 20);
      expect(report.steps.kill).toBeGreaterThan(0);
    },
    patience(STEPS * 2_000),
  );
});
