import { afterAll, beforeAll } from '@jest/globals';
import { describeModeration } from '../support/wire/moderation-matrix.js';
import { RedisKit } from './kit.js';
import { startRedisNodes } from './nodes.js';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterAll(() => kit.dispose());

describeModeration('acts of moderation on two nodes with Redis (G11, G30, P32)', async (options) => {
  const running = await startRedisNodes(kit, 2, options);
  return {
    nodes: running.nodes,
    start: running.start,
    async close() {
      await running.close();
      await kit.reset();
    },
  };
});
