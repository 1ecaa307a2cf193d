import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startCluster } from '../../../support/engine/cluster.js';
import { channel, type EngineHarness, quiet } from '../../../support/engine/harness.js';
import { type ManualClock } from '../../../support/engine/manual-clock.js';

describe('which users are online', () => {
  let clock: ManualClock;
  let nodes: EngineHarness[];
  let deaf: Set<string>;

  beforeEach(async () => {
    ({ clock, nodes, deaf } = await startCluster([channel('rooms.:room')]));
  });
  afterEach(() => Promise.all(nodes.map((node) => node.stop())));

  const at = (index: number): EngineHarness => nodes[index] as EngineHarness;
  const find = async (users: readonly string[], from = 0) => {
    const { online, missing } = await at(from).engine.usersOnline.find(users);
    return { online: [...online].sort(), missing };
  };
  async function come(index: number, user: string) {
    const connection = at(index).connect({});
    connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token: `user:${user}` } });
    await quiet();
    return connection;
  }

  it('is known of many at once, on all nodes, until their last session ends', async () => {
    await come(0, 'ada');
    const bob = await come(1, 'bob');
    await come(2, 'bob');
    await come(2, 'cy');
    at(1).connect({});
    const all = ['ada', 'bob', 'cy', 'dan'];
    for (const from of [0, 1, 2])
      expect(await find(all, from)).toEqual({ online: ['ada', 'bob', 'cy'], missing: [] });
    expect(await find([])).toEqual({ online: [], missing: [] });
    bob.drop();
    await quiet();
    expect(await find(['bob'])).toEqual({ online: ['bob'], missing: [] });
  });

  it('is not asked of others for users who are here, and a node that does not answer is named', async () => {
    await come(0, 'ada');
    await come(1, 'bob');
    deaf.add('node-2');
    expect(await find(['ada'])).toEqual({ online: ['ada'], missing: [] });
    const asking = find(['ada', 'bob', 'cy']);
    await clock.advanceAsync(2_000);
    expect(await asking).toEqual({ online: ['ada', 'bob'], missing: ['node-2'] });
  });

  it('does not count a session that still waits for its welcome', async () => {
    deaf.add('node-2');
    const bob = await come(1, 'bob');
    expect(bob.received).toEqual([]);
    const asking = find(['bob'], 1);
    await clock.advanceAsync(2_000);
    expect(await asking).toEqual({ online: [], missing: ['node-2'] });
    expect(await find(['bob'], 1)).toEqual({ online: ['bob'], missing: [] });
  });

  it('is answered for 256 users at once, and for no more', async () => {
    await come(1, 'u255');
    const users = Array.from({ length: 257 }, (_, index) => `u${index}`);
    expect(await find(users.slice(0, 256))).toEqual({ online: ['u255'], missing: [] });
    const asking = find(users);
    await clock.advanceAsync(2_000);
    expect((await asking).missing).toEqual(['node-0', 'node-1', 'node-2']);
  });
});
