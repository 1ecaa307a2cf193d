// What the life-cycle hooks see of a client that moves between two nodes.
import { stretched } from '../support/patience.js';
import { afterAll, afterEach, beforeAll, describe, it } from '@jest/globals';
import { HOOK_SCENARIOS, hookPairs } from '../support/wire/hook-pairs.js';
import { startRedisNodes } from './nodes.js';
import { RedisKit } from './kit.js';

let kit: RedisKit;
let close: () => Promise<void>;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(async () => {
  await close();
  await kit.reset();
});
afterAll(() => kit.dispose());

describe('life-cycle hooks come in pairs on two nodes with Redis (P28)', () => {
  it.each(HOOK_SCENARIOS)('%s', async (_, scenario) => {
    const pairs = hookPairs();
    const nodes = await startRedisNodes(kit, 2, {
      channels: [pairs.channel],
      settings: { retry: { stableMs: stretched(250) } },
    });
    ({ close } = nodes);
    await scenario(nodes.nodes, pairs);
  });
});
