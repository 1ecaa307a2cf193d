// Version N of the library beside version N + 1, as during a rolling deploy.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from '../support/engine/append-requests.js';
import { elapse, stretched } from '../support/patience.js';
import { NewerNode } from '../support/redis/newer-node.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { RedisKit } from './kit.js';

const ROOM = 'rooms.1';
// Nothing here may be owed to the check that comes anyway.
const RARELY = { intervalMs: 600_000 };

describe('side by side with a node of a later version', () => {
  let kit: RedisKit;
  let newer: NewerNode;
  const toClose: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(async () => {
    newer.close();
    for (const close of toClose.splice(0)) await close();
    await kit.admin.flushall();
  });
  afterAll(() => kit.dispose());

  async function meet(): Promise<void> {
    newer = await NewerNode.start(kit.server.url, kit.keys);
  }

  async function today() {
    const made = await kit.node({ tipCheck: RARELY });
    toClose.push(() => made.broker.close());
    return made;
  }

  async function server(): Promise<WireServer> {
    const made = await startWireServer({
      broker: kit.make({ tipCheck: RARELY, controlTimeoutMs: stretched(300) }),
      entropy: new SeededEntropy(5),
      channels: [wireChannel('rooms.:room', { publish: ['said'], signals: ['typing'], presence: true })],
    });
    toClose.push(() => made.close());
    return made;
  }

  it('starts in a deployment whose layout has additions', async () => {
    await meet();
    expect(await kit.admin.get(kit.keys.layout)).toBe('1.7');
    const { seen } = await today();
    expect(seen.states).toEqual(['up']);
    expect(
      (await newer.control({ r: 'a', s: newer.id, m: { kind: 'unban', user: 'u' } }, 'added')).length,
    ).toBe(2);
  });

  it.each(['added', 'unknown'] as const)(
    'receives the last event without a check of the tips, from a message with something %s (G5)',
    async (telling) => {
      await meet();
      const { broker, seen } = await today();
      await broker.log.subscribe(ROOM);
      expect(await newer.append(ROOM, 'u1', ['a', 'b', 'c'], telling)).toBe(1);
      await until('the events', () => seen.seqsOf(ROOM).length === 3);
      expect(seen.eventsOf(ROOM)).toMatchObject([
        { seq: 1, id: 'a', event: 'said', payload: 'a' },
        { seq: 2, id: 'b', payload: 'b' },
        { seq: 3, id: 'c', payload: 'c' },
      ]);
    },
  );

  it('receives every event of a log that both versions write, once and in order (P10, G3)', async () => {
    await meet();
    const node = await server();
    await newer.listen(ROOM);
    const ada = await node.connect('ada');
    await ada.subscribe(ROOM, { presence: false });
    const ids: string[] = [];
    for (let round = 0; round < 60; round++) {
      const id = `m${round}`;
      // Two unknown ones in a row, one that is known behind them, and so on.
      if (round % 5 === 4) await node.engine.application.publish(ROOM, 'said', id, { id });
      else await newer.append(ROOM, 'u1', [id], round % 3 === 0 ? 'added' : 'unknown');
      ids.push(id);
    }
    const events = () => ada.received.filter(({ type }) => type === 'event');
    await until('every event', () => events().length >= ids.length);
    expect(events().map(({ id, seq }) => [id, seq])).toEqual(ids.map((id, index) => [id, index + 1]));
    // And the newer one hears what today's node tells.
    const own = ids.flatMap((id, index) => (index % 5 === 4 ? [[id, index + 1]] : []));
    const heard = () => newer.told.get(ROOM)?.map(({ id, seq }) => [id, seq]) ?? [];
    await until('the last of them', () => heard().some(([id]) => id === ids.at(-1)));
    expect(heard()).toEqual(expect.arrayContaining(own));
    const page = await node.engine.application.history(ROOM, { limit: 1_000 });
    expect(page.events.map(({ id }) => id)).toEqual(ids);
  });

  it('recognizes the ids that the other version appended as duplicates (P15)', async () => {
    await meet();
    const { broker } = await today();
    expect(await newer.append(ROOM, 'u1', ['a'], 'unknown')).toBe(1);
    expect(await broker.log.appendMany([request(ROOM, 'a'), request(ROOM, 'b')])).toMatchObject([
      { ok: true, duplicate: true, position: { seq: 1 } },
      { ok: true, duplicate: false, position: { seq: 2 } },
    ]);
    const [{ epoch } = { epoch: '' }] = await broker.log.tips([ROOM]);
    expect(await newer.append(ROOM, 'u1', ['b', 'c'], 'added')).toEqual([`2 ${epoch}`, 3]);
  });

  it('forwards signals and presence with unknown fields, and ignores unknown kinds (P6)', async () => {
    await meet();
    const { broker, seen } = await today();
    await broker.log.subscribe(ROOM);
    await newer.say(ROOM, '1s{"n":"typing","p":[1],"u":"ada","since":4}');
    await newer.say(
      ROOM,
      '1p{"epoch":"p","version":2,"previous":1,"join":[],"update":[],"leave":["u"],"count":0,"why":"x"}',
    );
    for (const text of [
      '2s{}',
      '1z',
      '',
      'x',
      '1e',
      '1p',
      '1s',
      '1e p 1 2\nnothing',
      '1s{"n":"n","p":{"zip":"x"}}',
    ])
      await newer.say(ROOM, text);
    await newer.append(ROOM, 'u1', ['a'], 'added');
    await until('the event', () => seen.seqsOf(ROOM).length === 1);
    expect(seen.signalsOf(ROOM)).toEqual([{ event: 'typing', payload: 1, user: 'ada' }]);
    expect(seen.diffsOf(ROOM)).toMatchObject([{ version: 2, leave: ['u'] }]);
  });

  it('looks up what it cannot read only a few times a second, however much of it arrives (G13)', async () => {
    await meet();
    // Neither signs of life nor sweeps are among the calls that are counted.
    const { broker } = await kit.node({
      tipCheck: RARELY,
      heartbeatMs: 600_000,
      sweepMs: 600_000,
      controlMaxAgeMs: 900_000,
    });
    toClose.push(() => broker.close());
    await broker.log.subscribe(ROOM);
    await kit.admin.config('RESETSTAT');
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1_000;
    for (let said = 0; said < 300 || seconds() < 1;) {
      for (let burst = 0; burst < 10; burst++) await newer.say(ROOM, `2x${(said += 1)}`);
      await elapse(2);
    }
    const looks = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await kit.admin.info('commandstats'))?.[1]);
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThanOrEqual(12 * seconds());
  });

  it.each(['added', 'unknown'] as const)(
    'with control records with something %s, applies known ones, ignores others, and confirms accordingly (G11)',
    async (telling) => {
      await meet();
      const node = await server();
      const [ada, eve] = [await node.connect('ada'), await node.connect('eve')];
      for (const client of [ada, eve]) await client.subscribe(ROOM, { presence: false });
      const record = (r: string, m: unknown) => newer.control({ r, s: newer.id, m, why: 'x' }, telling);
      await record('one', { kind: 'mute', user: 'ada', for: 5 });
      for (const odd of [
        undefined,
        'text',
        7,
        { r: 'odd', s: newer.id },
        { m: { kind: 'revoke', user: 'eve' } },
      ])
        await newer.control(odd, telling);
      await record('two', { kind: 'revoke', user: 'ada', channel: ROOM, scope: 'all' });
      await ada.take({ type: 'unsubscribed', channel: ROOM });
      expect(await newer.answerOf('one', 'node-1')).toBe('0');
      expect(await newer.answerOf('two', 'node-1')).toBe('1');
      expect(eve.received.filter(({ type }) => type === 'unsubscribed')).toEqual([]);
      // The order goes on: what today's node stores comes behind them.
      expect((await node.engine.revoke('eve')).confirmed).toEqual(['node-1']);
      await eve.take({ type: 'unsubscribed', channel: ROOM });
      expect(node.engine.status.withholding).toBe(false);
    },
  );

  it('refuses to start on another layout, with one sentence that names it and the remedy', async () => {
    await meet();
    await kit.admin.set(kit.keys.layout, '2.1');
    await expect(kit.node()).rejects.toThrow(
      new Error(
        `redisBroker: the data under \`keyPrefix\` "${kit.prefix}" has layout 2.1, and this version of nestjs-realtime knows ` +
          'layout 1: run a version that knows layout 2.1, or give this one another `keyPrefix`.',
      ),
    );
    expect(await kit.admin.exists(kit.keys.meta)).toBe(1);
    expect(await kit.admin.zrange(kit.keys.nodes, '0', '-1')).toEqual([newer.id]);
  });

  it('writes nothing after the deployment moved to another layout, until it is moved back (G21)', async () => {
    await meet();
    const warnings: string[] = [];
    const { broker, seen } = await kit.node({ onWarning: (text) => warnings.push(text) });
    toClose.push(() => broker.close());
    await kit.admin.set(kit.keys.layout, '2');
    await until('the node to notice', () => seen.states.at(-1) === 'down');
    expect(await broker.log.appendMany([request(ROOM, 'a')])).toEqual([{ ok: false, code: 'unavailable' }]);
    expect(await kit.admin.exists(kit.keys.stream(ROOM))).toBe(0);
    expect(warnings.filter((text) => text.includes('has layout 2, and'))).toHaveLength(1);
    await kit.admin.set(kit.keys.layout, '1');
    await until('the way back', () => seen.states.at(-1) === 'up');
    expect(await broker.log.appendMany([request(ROOM, 'a')])).toMatchObject([
      { ok: true, position: { seq: 1 } },
    ]);
  });
});
