// What Redis does for one event, and what it keeps of one: counted, as a time would depend on the machine.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { POLICY, request, requests } from '../support/engine/append-requests.js';
import { RedisKit } from './kit.js';

const SPREAD = 64;
const RARELY = { heartbeatMs: 600_000, controlMaxAgeMs: 1_200_000, sweepMs: 600_000 };

describe('what Redis does and keeps', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  /** How often each command was run, by scripts too. */
  async function commandsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
    await kit.admin.config('RESETSTAT');
    await work();
    const found: Record<string, number> = {};
    for (const [, name = '', calls = ''] of (await kit.admin.info('commandstats')).matchAll(
      /^cmdstat_([^:]+):calls=(\d+)/gm,
    ))
      if (!name.startsWith('config') && name !== 'info') found[name] = Number(calls);
    return found;
  }
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((all, count) => all + count, 0);

  it('an event costs seven commands where it is spread over 64 channels, four without an id, and next to none in one channel', async () => {
    const { broker } = await kit.node(RARELY);
    const names = Array.from({ length: SPREAD }, (_, index) => `rooms.${index}`);
    const spread = (id: string, policy = POLICY) =>
      broker.log.appendMany(names.map((name) => request(name, id, { policy })));
    // Makes the logs.
    await spread('first');
    const counts = await commandsOf(() => spread('second'));
    expect(counts).toMatchObject({ evalsha: 1, time: 1, xadd: SPREAD, spublish: SPREAD });
    expect(sum(counts)).toBeLessThanOrEqual(7 * SPREAD + 2);
    const unnamed = await commandsOf(() => spread('third', { ...POLICY, dedupeMs: 0 }));
    expect(sum(unnamed)).toBeLessThanOrEqual(4 * SPREAD + 2);
    const together = await commandsOf(() => broker.log.appendMany(requests('rooms.0', 'x', SPREAD)));
    expect(sum(together)).toBeLessThanOrEqual(7 + 2);
    const alone = await commandsOf(() => broker.log.appendMany([request('rooms.0', 'alone')]));
    expect(sum(alone)).toBeLessThanOrEqual(7 + 2);
  });

  it('a remembered id takes at most 160 bytes, a member 440, and a room of one member 1,000', async () => {
    const { broker } = await kit.node(RARELY);
    const many = Array.from({ length: 1_000 }, (_, index) => index);
    const enter = (channel: string, index: number) =>
      broker.presence.enter(
        { channel, member: `user-${index}`, device: 'd'.repeat(22), generation: 1, data: {} },
        600_000,
      );
    const used = async () => {
      const asked = kit.admin.pipeline();
      for (const key of await kit.admin.keys('*')) asked.memory('USAGE', key, 'SAMPLES', 0);
      const answers = (await asked.exec()) as [Error | null, number][];
      return answers.reduce((all, [, bytes]) => all + bytes, 0);
    };
    const each = async (work: () => Promise<unknown>): Promise<number> => {
      const before = await used();
      await work();
      return ((await used()) - before) / many.length;
    };
    const few = { ...POLICY, size: 1 };
    const publish = (channel: string, ids: readonly number[]) =>
      broker.log.appendMany(ids.map((id) => request(channel, `an-id-as-they-are-${id}`, { policy: few })));
    // What a partition takes once.
    await enter('rooms.0', 0);
    await publish('rooms.0', [0]);
    expect(await each(() => publish('rooms.1', many))).toBeLessThanOrEqual(160);
    const alone = async () => {
      for (const id of many) await publish('rooms.2', [id]);
    };
    expect(await each(alone)).toBeLessThanOrEqual(160);
    expect(await each(() => Promise.all(many.map((index) => enter('rooms.3', index))))).toBeLessThanOrEqual(
      440,
    );
    expect(
      await each(() => Promise.all(many.map((index) => enter(`halls.${index}`, index)))),
    ).toBeLessThanOrEqual(1_000);
  });
});
