import { describe, expect, it } from '@jest/globals';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { Transition } from '../../../../lib/core/ports/transitions.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const HOLD = { channel: 'rooms.1', holder: 'n1', generation: 1 };

/** What a store records of a channel that is held and released twice, while the wall clock jumps. */
async function recordsOf(seed: number): Promise<readonly Transition[]> {
  const clock = new ManualClock();
  const { transitions, ...broker } = await started(clock, seed);
  for (let round = 0; round < 2; round++) {
    await transitions.hold([HOLD], 600_000);
    clock.advance(1_000);
    await transitions.release(HOLD, 0);
    clock.advance(1_000);
  }
  const taken = await transitions.take(10);
  await broker.close();
  return taken;
}

async function started(clock: ManualClock, seed: number) {
  const broker = memoryBroker({ clock, entropy: new SeededEntropy(seed) });
  await broker.start(new RecordingListener());
  return { transitions: broker.transitions, close: () => broker.close() };
}

describe('records of transitions of the memory broker (G32)', () => {
  it('have ids that no record of another store has, such as that of the application before its restart', async () => {
    const ids = [...(await recordsOf(1)), ...(await recordsOf(2))].map(({ id }) => id);
    expect(new Set(ids).size).toBe(8);
  });

  it('have times that never go back, also where the wall clock is set back', async () => {
    const times = (await recordsOf(1)).map(({ at }) => at);
    expect(times).toHaveLength(4);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});
