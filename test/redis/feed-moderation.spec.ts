import { afterAll, beforeAll } from '@jest/globals';
import { describeFeedModeration } from '../support/wire/feed-moderation.js';
import { RedisKit } from './kit.js';
import { startRedisNodes } from './nodes.js';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterAll(() => kit.dispose());

describeFeedModeration(
  'restrictions of plain streams on two nodes with Redis (G30, P32, P20)',
  async (options) => {
    const running = await startRedisNodes(kit, 2, options);
    return {
      nodes: running.nodes,
      async close() {
        await running.close();
        await kit.reset();
      },
    };
  },
);
