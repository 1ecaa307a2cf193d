// What a node does about thousands of channels after its connection was lost: it looks at all of them at once (G5, G6).
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { requests } from '../support/engine/append-requests.js';
import { patience } from '../support/patience.js';
import { until } from '../support/until.js';
import { alteredClient } from './altered-client.js';
import { RedisKit } from './kit.js';

const CHANNELS = 8_000;
const MISSED = 1_000;
/** In one script. */
const BATCH = 100;
const NAMES = Array.from({ length: CHANNELS }, (_, index) => `rooms.${index}`);

describe('a node of 8,000 channels that lost its connection', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open({ args: ['--appendfsync', 'everysec'] });
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  /** Script calls since the counters were reset. */
  const calls = async (): Promise<number> =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await kit.admin.info('commandstats'))?.[1] ?? 0);

  async function subscribed() {
    const ear = { deaf: false };
    const client = alteredClient(kit.server.url, ear);
    const publisher = await kit.node({ heartbeatMs: 1_000, sweepMs: 600_000 });
    const node = await kit.node({ url: undefined, client, heartbeatMs: 1_000, sweepMs: 600_000 });
    await Promise.all(NAMES.map((name) => node.broker.log.subscribe(name)));
    await publisher.broker.log.appendMany(NAMES.flatMap((name) => requests(name, 'a', 1)));
    await until('the first events', () => NAMES.every((name) => node.seen.eventsOf(name).length === 1));
    return { ...node, ear, publisher };
  }

  it(
    'knows after a restart of Redis with its data that nothing is missing, and reads none of them (G6)',
    async () => {
      const { seen, publisher } = await subscribed();
      await publisher.broker.close();
      await kit.server.kill();
      await kit.server.launch();
      await until('the way back', () => seen.states.at(-1) === 'up');
      const since = performance.now();
      const isNew = async (names: readonly string[]): Promise<boolean> => {
        const pipeline = kit.admin.pipeline();
        for (const name of names) pipeline.hget(kit.keys.head(name), 'e');
        // The base, the number of continuations, and the incarnation: this is the first continuation.
        return ((await pipeline.exec()) ?? []).every(([, epoch]) => String(epoch).includes('~1.'));
      };
      // Few, as who asks takes of the time that is measured.
      const sample = NAMES.filter((_, index) => index % BATCH === 0);
      await until('the logs to be looked at', () => isNew(sample));
      process.stdout.write(
        `  weather: ${CHANNELS} quiet channels after a restart: ${Math.round(performance.now() - since)} ms, ${await calls()} script calls\n`,
      );
      await until('each log to be looked at', () => isNew(NAMES));
      // The heartbeats, the control records and the origins are among them.
      expect(await calls()).toBeLessThan(CHANNELS / BATCH + 80);
      await new Promise((resolve) => setImmediate(resolve));
      expect(NAMES.every((name) => seen.eventsOf(name).length === 1)).toBe(true);
    },
    patience(30_000),
  );

  it(
    'is handed what it missed in a thousand of them, once and in order (G5)',
    async () => {
      const { seen, ear, publisher } = await subscribed();
      ear.deaf = true;
      const some = NAMES.slice(-MISSED);
      await publisher.broker.log.appendMany(some.flatMap((name) => requests(name, 'b', 2)));
      ear.deaf = false;
      const since = performance.now();
      await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await until('what was missed', () => some.every((name) => seen.eventsOf(name).length >= 3));
      process.stdout.write(
        `  weather: ${MISSED} channels of ${CHANNELS} that missed events: ${Math.round(performance.now() - since)} ms\n`,
      );
      for (const name of some) expect(seen.eventsOf(name).map(({ seq }) => seq)).toEqual([1, 2, 3]);
      expect(NAMES.slice(0, -MISSED).every((name) => seen.eventsOf(name).length === 1)).toBe(true);
    },
    patience(30_000),
  );

  it('is notified of logs that were lost and have as many events again (G6)', async () => {
    const { seen, ear, publisher } = await subscribed();
    const some = NAMES.slice(0, MISSED);
    ear.deaf = true;
    await kit.admin.flushall();
    await publisher.broker.log.appendMany(some.flatMap((name) => requests(name, 'other', 1)));
    ear.deaf = false;
    await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('each to be notified', () => some.every((name) => seen.eventsOf(name).length >= 2));
    for (const name of some) {
      const [first, second] = seen.eventsOf(name);
      expect(second).toMatchObject({ seq: 1 });
      expect(second?.epoch).not.toBe(first?.epoch);
    }
  });
});
