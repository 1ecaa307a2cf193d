// A presence room of which the server evicted one key, or somebody deleted it.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import type { PresenceEntry } from '../../lib/core/ports/broker.js';
import { request } from '../support/engine/append-requests.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const MEMBERS = ['ada', 'bob', 'eve'];
const LEASE_MS = 600_000;
const QUIET = { heartbeatMs: 600_000, controlMaxAgeMs: 900_000, sweepMs: 600_000 };
const PARTS = ['the room itself', 'the members', 'the order', 'the devices', 'the leases'];

describe('a presence room that lost a key (G19)', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  const entry = (member: string): PresenceEntry => ({
    channel: CHANNEL,
    member,
    device: 'd',
    generation: 1,
    data: { name: member },
  });
  const enterAll = async (broker: RedisBroker) => {
    for (const member of MEMBERS) await broker.presence.enter(entry(member), LEASE_MS);
  };
  const lose = async (part: string) => {
    expect(await kit.admin.del(kit.keys.room(CHANNEL)[PARTS.indexOf(part)] ?? '')).toBe(1);
  };
  const page = (broker: RedisBroker, cursor?: string) =>
    broker.presence.members(CHANNEL, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
  const everybody = async (broker: RedisBroker) => {
    const first = await page(broker);
    const second = first.more === undefined ? undefined : await page(broker, first.more);
    return { ...first, members: [...first.members, ...(second?.members ?? [])] };
  };

  it.each(PARTS)(
    'without %s, has all members again after a renewal, under another epoch, and lets them leave',
    async (part) => {
      const { broker, seen } = await kit.node(QUIET);
      await broker.log.subscribe(CHANNEL);
      await enterAll(broker);
      const epochs = [(await page(broker)).epoch];
      for (const _time of [1, 2]) {
        await lose(part);
        const left = await everybody(broker);
        epochs.push(left.epoch);
        expect((await page(broker)).epoch).toBe(left.epoch);
        // Nobody is lost with the room's own key.
        expect(left.members.map(({ id }) => id)).toEqual(part === PARTS[0] ? MEMBERS : []);
        await broker.presence.renew(MEMBERS.map(entry), LEASE_MS);
        const after = await everybody(broker);
        expect(after.members).toEqual(MEMBERS.map((id) => ({ id, devices: 1, data: { name: id } })));
        expect([after.epoch, after.count]).toEqual([left.epoch, 3]);
      }
      expect(new Set(epochs).size).toBe(3);
      await broker.presence.enter(entry('new'), LEASE_MS);
      expect((await everybody(broker)).members.map(({ id }) => id)).toEqual([...MEMBERS, 'new']);
      for (const member of [...MEMBERS, 'new']) await broker.presence.leave(entry(member), 0);
      expect(await page(broker)).toMatchObject({ members: [], count: 0 });
      expect(seen.states).toEqual(['up']);
    },
  );

  it('without several of them, is as one without members', async () => {
    const { broker } = await kit.node(QUIET);
    const [, members = '', order = '', devices = '', leases = ''] = kit.keys.room(CHANNEL);
    for (const lost of [
      [members, order],
      [devices, leases],
    ]) {
      await enterAll(broker);
      await kit.admin.del(...lost);
      expect(await page(broker)).toMatchObject({ members: [], count: 0 });
      await broker.presence.renew(MEMBERS.map(entry), LEASE_MS);
      for (const member of MEMBERS) await broker.presence.leave(entry(member), 0);
      expect(await page(broker)).toMatchObject({ members: [], count: 0 });
    }
  });

  it.each(PARTS)('without %s and on a full server, is read all the same, and takes nobody', async (part) => {
    const { broker } = await kit.node(QUIET);
    await enterAll(broker);
    await lose(part);
    await kit.admin.config('SET', 'maxmemory', '1');
    const before = (await kit.admin.keys('*')).sort();
    for (const _time of [1, 2]) await everybody(broker);
    await expect(broker.presence.enter(entry('new'), LEASE_MS)).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect((await kit.admin.keys('*')).sort()).toEqual(before);
    await kit.admin.config('SET', 'maxmemory', '0');
    await broker.presence.renew(MEMBERS.map(entry), LEASE_MS);
    expect((await everybody(broker)).members.map(({ id }) => id)).toEqual(MEMBERS);
  });
});

describe('a key of another kind under the name of a log', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  it.each(['head', 'stream'] as const)(
    'as its %s fails the publishes to that channel, and none that travel with them (G21)',
    async (part) => {
      const { broker } = await kit.node(QUIET);
      const spoiled = 'rooms.spoiled';
      await broker.log.appendMany([request(spoiled, 'first')]);
      await kit.admin.set(kit.keys.of(spoiled)[part], 'text');
      for (const channels of [
        [spoiled, 'rooms.1', 'rooms.2'],
        ['rooms.1', spoiled, 'rooms.2'],
        ['rooms.1', 'rooms.2', spoiled],
      ]) {
        const outcomes = await broker.log.appendMany(
          channels.flatMap((channel) => [
            request(channel, `${channels.join()}-a`),
            request(channel, `${channels.join()}-b`, { after: `${channels.join()}-a` }),
          ]),
        );
        expect(outcomes.map((one) => (one.ok ? 'appended' : one.code))).toEqual(
          channels.flatMap((channel) =>
            channel === spoiled ? ['unavailable', 'unavailable'] : ['appended', 'appended'],
          ),
        );
      }
      for (const channel of ['rooms.1', 'rooms.2'])
        expect((await broker.log.read({ channel, from: 1, limit: 20 })).events).toHaveLength(6);
    },
  );

  it('as does a head that was set back (G21)', async () => {
    const { broker } = await kit.node(QUIET);
    const spoiled = 'rooms.spoiled';
    await broker.log.appendMany([request(spoiled, 'first')]);
    await kit.admin.hset(kit.keys.head(spoiled), 's', 0);
    for (const channels of [
      [spoiled, 'rooms.1'],
      ['rooms.1', spoiled],
    ])
      expect(
        await broker.log.appendMany(channels.map((channel) => request(channel, channels.join()))),
      ).toEqual(
        channels.map((channel) =>
          channel === spoiled ? { ok: false, code: 'unavailable' } : expect.objectContaining({ ok: true }),
        ),
      );
  });

  it('of what the server refuses, nothing is appended, however many channels there are (G21)', async () => {
    const { broker } = await kit.node(QUIET);
    await broker.log.appendMany([request('rooms.1', 'a')]);
    await kit.admin.config('SET', 'maxmemory', '1');
    const channels = ['rooms.1', 'rooms.2', 'rooms.3'];
    expect(await broker.log.appendMany(channels.map((channel) => request(channel, 'b')))).toMatchObject(
      channels.map(() => ({ ok: false, code: 'unavailable' })),
    );
    await kit.admin.config('SET', 'maxmemory', '0');
    expect((await broker.log.tips(channels)).map(({ seq }) => seq)).toEqual([1, 0, 0]);
  });
});
