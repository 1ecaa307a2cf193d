import { afterAll, beforeAll } from '@jest/globals';
import { describeEraseRace } from '../support/wire/erase-race.js';
import { RedisKit } from './kit.js';
import { startRedisNodes } from './nodes.js';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterAll(() => kit.dispose());

describeEraseRace('events that are erased while they are read, on two nodes with Redis', (options) =>
  startRedisNodes(kit, 2, options),
);
