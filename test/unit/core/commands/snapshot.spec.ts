import { describe, expect, it } from '@jest/globals';
import { SubscribePlanner } from '../../../../lib/core/commands/snapshot.js';
import type { ReadResult } from '../../../../lib/core/ports/broker.js';
import type { Position } from '../../../../lib/protocol/position.js';

/** A log of four events that holds the last two, and a client that had none of them. */
async function planned(stated: Position, now: Partial<ReadResult> = {}) {
  const tip = { epoch: 'e', seq: 4 };
  const found = { tip, oldest: 3, continuous: true, events: [] };
  const reads = [found, { ...found, ...now }];
  const planner = new SubscribePlanner(
    { log: { read: () => Promise.resolve(reads.shift()) } } as never,
    { limit: (work: unknown) => work } as never,
    { error: () => undefined },
    { mark: 0, hasSince: () => false },
  );
  const snapshot = { shareable: false, run: () => ({ state: 'state', position: stated }) };
  const definition = { policy: { log: { retain: true }, replayLimit: 100 }, behaviour: { snapshot } };
  const subscription = { channel: { name: 'c', tip, proofs: new Map(), definition }, wantsSnapshot: true };
  return await planner.plan(subscription as never, { epoch: 'e', seq: 0 });
}

describe('the plan of a truncated resume that gets a state (P26f)', () => {
  it('leaves out what the state is stated to have', async () => {
    const { plan, snapshot } = await planned({ epoch: 'e', seq: 3 });
    expect(snapshot).toBe('state');
    expect(plan).toEqual({
      recovery: 'truncated',
      position: { epoch: 'e', seq: 4 },
      from: 4,
      to: 4,
      cause: 'trimmed',
      cursor: 3,
    });
  });

  it('leaves out nothing where the log became another one while the handler ran', async () => {
    const { plan } = await planned({ epoch: 'f', seq: 4 }, { tip: { epoch: 'f', seq: 4 } });
    expect(plan).toMatchObject({ position: { epoch: 'e', seq: 4 }, from: 3, to: 4, cursor: 2 });
  });
});
