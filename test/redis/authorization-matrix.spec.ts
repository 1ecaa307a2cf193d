import { afterAll, beforeAll } from '@jest/globals';
import { describeMatrix } from '../support/wire/authorization-matrix.js';
import { RedisKit } from './kit.js';
import { startRedisNodes } from './nodes.js';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterAll(() => kit.dispose());

describeMatrix(
  'every command and every path to events, members and history, on two nodes with Redis (G9, G10, G11)',
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
