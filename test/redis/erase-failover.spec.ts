// Events are erased, and the master of Redis is lost right after; or the record of an erasure, or of a lift, is.
import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import type { Restriction } from '../../lib/core/ports/moderation.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { checkHistory } from '../support/fault/history-checker.js';
import { HistoryRecorder } from '../support/fault/history-recorder.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { redisSentinels, synced, type SentinelDeployment } from '../support/redis/sentinels.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireClient } from '../support/wire/client.js';
import { readLog } from '../support/wire/cluster.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { alteredClient, type Alteration } from './altered-client.js';
import { RedisKit } from './kit.js';

const ROOM = 'rooms.1';
const TIMEOUT_MS = patience(40_000);
const CHANNELS = [wireChannel('rooms.:room', { publish: ['said'] })];

const toDispose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const dispose of toDispose.splice(0).reverse()) await dispose();
});

async function serve(options: RedisBrokerOptions, number: number): Promise<WireServer> {
  const server = await startWireServer({
    channels: CHANNELS,
    broker: redisBroker(options),
    entropy: new SeededEntropy(number),
    settings: { nodeId: `node-${number}`, lingerMs: 0 },
  });
  toDispose.push(() => server.close());
  return server;
}

/** What came to a client of the room: events as they are shown, in order. */
const shown = (client: WireClient) =>
  client.received
    .filter(({ type, channel }) => type === 'event' && channel === ROOM)
    .map(({ epoch = '', seq = 0, id = '', event, payload }) => ({
      epoch,
      seq,
      id,
      event,
      payload: payload,
    }));

/** Everything that a node replays to somebody who has nothing. */
async function replayed(node: WireServer): Promise<ReturnType<typeof shown>> {
  const { position } = await node.engine.application.history(ROOM);
  const client = await node.connect('late');
  await client.subscribe(ROOM, { position: { ...position, seq: 0 } });
  await until('the replay', () => shown(client).length >= position.seq);
  client.terminate();
  return shown(client);
}

describe('erasures and a failover of Redis', () => {
  let deployment: SentinelDeployment;

  async function cluster(
    durability: NonNullable<RedisBrokerOptions['durability']>,
  ): Promise<[WireServer, WireServer]> {
    deployment = await redisSentinels(stretched(1_000));
    toDispose.push(() => deployment.dispose());
    const client = deployment.client() as Redis;
    const sentinels = (client.options.sentinels ?? []).map(({ host = '', port = 0 }) => ({ host, port }));
    client.disconnect();
    const options = (): RedisBrokerOptions => ({
      sentinel: { name: client.options.name ?? '', sentinels },
      keyPrefix: 'erased',
      partitions: 4,
      durability,
      commandTimeoutMs: stretched(1_500),
      controlTimeoutMs: stretched(2_000),
      controlMaxAgeMs: stretched(10_000),
      heartbeatMs: 100,
      maxReconnectMs: 100,
      tipCheck: { intervalMs: 300 },
    });
    return [await serve(options(), 1), await serve(options(), 2)];
  }

  /** Publishes until it is acknowledged, always with the same id. */
  async function publish(
    node: WireServer,
    history: HistoryRecorder,
    id: string,
    text: string,
  ): Promise<number> {
    let seq = 0;
    history.invoke('application', ROOM, id);
    await until(`${id} to be acknowledged`, async () => {
      try {
        const result = await node.engine.application.publish(ROOM, 'said', text, { id });
        history.acknowledged(id, result);
        seq = result.seq;
      } catch {
        await elapse(50);
      }
      return seq > 0;
    });
    return seq;
  }

  it(
    'what was acknowledged with replicated durability stays erased, and every position comes once (G29, G1, P31a)',
    async () => {
      const [left, right] = await cluster({ level: 'replicated', replicas: 1, timeoutMs: stretched(1_000) });
      const history = new HistoryRecorder();
      const clients: WireClient[] = [];
      for (const node of [left, right]) {
        const client = await node.connect('ada');
        history.answer(`${clients.length}`, ROOM, (await client.subscribe(ROOM)) as never);
        clients.push(client);
      }
      for (let number = 1; number <= 20; number++)
        await publish(left, history, `p${number}`, `secret ${number}`);
      const erased = [3, 7, 12, 18, 19, 20];
      for (const [index, seq] of erased.entries()) {
        const receipt = await (index % 2 === 0 ? left : right).engine.erase(ROOM, { seq });
        expect(receipt.missing).toEqual([]);
      }
      await deployment.master.kill();
      await deployment.promoted(deployment.replica);
      await deployment.master.launch();
      // The Sentinels make it a replica of the other one; until then no append has as many as it asks for.
      await synced(deployment.master);
      for (let number = 21; number <= 25; number++)
        await publish(number % 2 === 0 ? left : right, history, `p${number}`, `secret ${number}`);
      await until('both nodes to reach the new master', async () => {
        const reads = [left, right].map(({ engine }) =>
          engine.application.history(ROOM).catch(() => undefined),
        );
        return (await Promise.all(reads)).every((page) => page !== undefined);
      });
      const log = await readLog(left, ROOM);
      const late = await serveLate();
      for (const client of clients)
        await until('the client to have everything', () => shown(client).at(-1)?.seq === log.position.seq);

      const isErased = new Set(erased);
      for (const node of [left, right, late]) {
        const events = await replayed(node);
        expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
        for (const { seq, event, payload } of events) {
          if (isErased.has(seq)) expect([event, payload]).toEqual(['$erased', { seqs: [seq] }]);
          else if (event === 'said') expect(payload).toMatch(/^secret \d+$/);
        }
        const text = JSON.stringify([events, (await readLog(node, ROOM)).events]);
        for (const seq of erased) expect(text).not.toContain(`"secret ${seq}"`);
      }
      // An erased event has another id from then on: its place is what is compared.
      const nameOf = ({ seq, id }: { seq: number; id: string }): string =>
        isErased.has(seq) ? `p${seq}` : id;
      for (const [index, client] of clients.entries())
        for (const { type, channel, epoch = '', seq = 0, id = '', payload } of client.received) {
          if (channel !== ROOM) continue;
          // The new master may begin another epoch, with all that was acknowledged in it.
          if (type === 'reset') history.reset(`${index}`, ROOM, payload as never);
          if (type === 'gap') history.gap(`${index}`, ROOM, epoch, payload as never);
          if (type === 'event') history.deliver(`${index}`, ROOM, { epoch, seq, id: nameOf({ seq, id }) });
        }
      // The notices are the library's own publishes.
      const notices = log.events.filter(({ event, seq }) => event === '$erased' && !isErased.has(seq));
      for (const { id, seq } of notices) {
        history.invoke('library', ROOM, id);
        const [first] = clients;
        const epoch = first && shown(first).find((event) => event.seq === seq)?.epoch;
        history.acknowledged(id, { epoch: epoch ?? log.position.epoch, seq });
      }
      const events = log.events.map(({ seq, id }) => ({ seq, id: nameOf({ seq, id }) }));
      const report = checkHistory(history, [{ channel: ROOM, position: log.position, events }]);
      expect(report.violations).toEqual([]);
      expect(report).toMatchObject({ published: 31, acknowledged: 31, lostByBroker: 0 });

      async function serveLate(): Promise<WireServer> {
        const { sentinels = [], name = '' } = (deployment.client() as Redis).options;
        const addresses = sentinels.map(({ host = '', port = 0 }) => ({ host, port }));
        return await serve(
          { sentinel: { name, sentinels: addresses }, keyPrefix: 'erased', partitions: 4 },
          3,
        );
      }
    },
    TIMEOUT_MS,
  );

  it(
    'with replicated durability it is not acknowledged while too few replicas have it, and can be repeated (G29, G1)',
    async () => {
      const [left] = await cluster({ level: 'replicated', replicas: 1, timeoutMs: stretched(300) });
      const history = new HistoryRecorder();
      await publish(left, history, 'p1', 'secret 1');
      await deployment.replica.kill();
      const failed: unknown = await left.engine.erase(ROOM, { seq: 1 }).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 'timeout', details: [{ path: 'seqs', message: '[1]' }] });
      // The step that failed is the log itself: nothing of a notice was appended.
      expect(String(failed)).toContain('Too few replicas confirmed in time that the events are erased');
      await deployment.replica.launch();
      await synced(deployment.replica);
      // The replica confirms in time once it has caught up, which a busy machine may delay.
      const again = () => left.engine.erase(ROOM, { seq: 1 }).catch(() => undefined);
      await until(
        'the erasure to be confirmed',
        async () => (await again())?.missing.length === 0,
        patience(20_000),
      );
    },
    TIMEOUT_MS,
  );

  it(
    'what was acknowledged by the master alone may be back, and is gone once it is erased again (G29, G6)',
    async () => {
      const [left, right] = await cluster('broker');
      const history = new HistoryRecorder();
      const client = await right.connect('ada');
      await client.subscribe(ROOM);
      for (const number of [1, 2, 3]) await publish(left, history, `p${number}`, `secret ${number}`);
      const replica = new Redis(deployment.replica.url);
      toDispose.push(async () => replica.disconnect());
      await synced(deployment.replica);
      // It loses its master, and is refused whenever it comes back.
      await replica.config('SET', 'masterauth', 'nobody asked for one');
      await replica.call('CLIENT', 'KILL', 'TYPE', 'master');
      expect((await left.engine.erase(ROOM, { seq: 2 })).missing).toEqual([]);
      expect(JSON.stringify(await replayed(right))).not.toContain('secret 2');
      await deployment.master.kill();
      await deployment.promoted(deployment.replica);
      await publish(left, history, 'p4', 'secret 4');
      expect(JSON.stringify((await readLog(left, ROOM)).events)).toContain('secret 2');
      // A node that is finding out that its records were lost says that it has missed this one.
      await until(
        'every node to confirm',
        async () => (await left.engine.erase(ROOM, { seq: 2 })).missing.length === 0,
      );
      for (const node of [left, right]) {
        const events = await replayed(node);
        expect(JSON.stringify(events)).not.toContain('secret 2');
        expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
        expect(events[1]).toMatchObject({ event: '$erased', payload: { seqs: [2] } });
      }
    },
    TIMEOUT_MS,
  );
});

describe('records that a node misses, and that are trimmed before it can read them', () => {
  const BAN: Restriction = { act: 'ban', whom: { of: 'user', id: 'eve' }, channel: ROOM };
  const MUTE: Restriction = { act: 'mute', whom: { of: 'user', id: 'ada' }, channel: 'rooms.:room' };
  const USER_BAN = { act: 'ban', whom: { of: 'user', id: 'bob' } } as const;

  it('leave no erased event in what it holds, and no restriction that was lifted (G29, G30)', async () => {
    const kit = await RedisKit.open();
    toDispose.push(() => kit.dispose());
    const rarely = { heartbeatMs: 600_000, controlMaxAgeMs: 900_000, tipCheck: { intervalMs: 600_000 } };
    const way: Alteration = {};
    const brokerOf = (client?: Redis) =>
      kit.make({
        ...rarely,
        controlTimeoutMs: 300,
        ...(client === undefined ? {} : { url: undefined, client }),
      });
    const start = async (number: number, client?: Redis): Promise<WireServer> => {
      const server = await startWireServer({
        channels: CHANNELS,
        broker: brokerOf(client),
        entropy: new SeededEntropy(number),
        settings: { nodeId: `node-${number}` },
      });
      toDispose.push(() => server.close());
      return server;
    };
    const left = await start(1);
    const right = await start(2, alteredClient(kit.server.url, way));
    const keeper = await right.connect('keeper');
    await keeper.subscribe(ROOM);
    await left.engine.application.publish(ROOM, 'said', 'secret 1');
    await keeper.take({ type: 'event', seq: 1 });
    for (const restriction of [BAN, MUTE])
      expect((await left.engine.restrict(restriction)).missing).toEqual([]);
    expect((await left.engine.ban('bob')).missing).toEqual([]);

    way.deaf = true;
    expect((await left.engine.erase(ROOM, { seq: 1 })).missing).toEqual(['node-2']);
    expect((await left.engine.lift(BAN)).missing).toEqual(['node-2']);
    expect((await left.engine.unban('bob')).missing).toEqual(['node-2']);
    const known = () =>
      right.engine.restrictions({}, 0, 10).restrictions.map(({ act, whom }) => ({ act, whom }));
    expect(known()).toHaveLength(3);
    await kit.admin.xtrim(kit.keys.stream('$rt.control'), 'MAXLEN', 0);
    way.deaf = false;
    // It finds that some are missing by the next one.
    await left.engine.restrict({ ...BAN, whom: { of: 'user', id: 'mallory' } });
    await until('the next record', () => known().some(({ whom }) => whom.id === 'mallory'));
    expect(known()).toEqual([
      { act: 'mute', whom: MUTE.whom },
      { act: 'ban', whom: { of: 'user', id: 'mallory' } },
    ]);
    expect(known()).not.toContainEqual(USER_BAN);
    expect(JSON.stringify(await replayed(right))).not.toContain('secret');
    const eve = await right.connect('eve');
    await eve.subscribe(ROOM);
  });

  it('leave every restriction in force where the whole of Redis was lost (G30)', async () => {
    const kit = await RedisKit.open();
    toDispose.push(() => kit.dispose());
    const server = await startWireServer({ channels: CHANNELS, broker: kit.make() });
    toDispose.push(() => server.close());
    await server.engine.restrict(BAN);
    await kit.admin.flushall();
    await server.engine.restrict(MUTE);
    await until(
      'the records after the loss',
      () => server.engine.restrictions({}, 0, 10).restrictions.length > 1,
    );
    expect(server.engine.restrictions({}, 0, 10).restrictions.map(({ act }) => act)).toEqual(['ban', 'mute']);
  });
});
