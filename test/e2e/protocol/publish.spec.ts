import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import type { Broker } from '../../../lib/core/ports/broker.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../support/engine/altered-broker.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { readLog, startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

const CHANNEL = 'rooms.1';

let close: () => Promise<void>;
let left: WireServer;
let right: WireServer;
let cluster: WireCluster;
afterEach(() => close());

/** What the application's handler does with each publish. */
type Handler = (call: HandlerCall) => unknown;

async function start(handler?: Handler, anonymous = false): Promise<void> {
  const behaviour = handler === undefined ? {} : { behaviour: { publish: new Map([['said', handler]]) } };
  cluster = await startWireCluster(2, {
    channels: [wireChannel('rooms.:room', { publish: ['said', 'shouted'], ...behaviour })],
    settings: { anonymous, limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0 } },
  });
  [left, right] = cluster.nodes as [WireServer, WireServer];
  close = () => cluster.close();
}

const publish = (id: string, payload: unknown = id, more: object = {}) => ({
  type: 'publish',
  id,
  channel: CHANNEL,
  event: 'said',
  payload,
  ...more,
});
const logged = async () => (await readLog(left, CHANNEL)).events.map(({ id }) => id);

describe.each(['json', 'msgpack'] as const)('P15 over %s', (codec) => {
  const protocols = [`realtime.v1.${codec}`];

  it('P15 G1 what is acknowledged is in the log: another connection on another node reads it at once', async () => {
    await start();
    const writer = await left.connect('ada', { protocols });
    const reader = await right.connect('bob', { protocols });
    await reader.subscribe(CHANNEL);
    for (let index = 1; index <= 20; index++) {
      const answer = await writer.reply(publish(`m${index}`, { index }));
      expect(answer).toEqual({ seq: index, epoch: expect.any(String), duplicate: false });
      const page = await reader.reply({
        type: 'history',
        channel: CHANNEL,
        payload: { epoch: answer['epoch'], from: index, until: index },
      });
      expect(page['events']).toMatchObject([
        { seq: index, id: `m${index}`, user: 'ada', payload: { index } },
      ]);
    }
  });

  it('P15 G4 a retried id is appended once: across connections, nodes and codecs', async () => {
    await start();
    const first = await left.connect('ada', { protocols });
    const answer = await first.reply(publish('m1', { text: 'hi', n: 1.5 }));
    first.terminate();
    for (const [node, other] of [
      [left, codec],
      [right, codec],
      [right, codec === 'json' ? 'msgpack' : 'json'],
    ] as const) {
      const again = await node.connect('ada', { protocols: [`realtime.v1.${other}`] });
      expect(await again.reply(publish('m1', { text: 'hi', n: 1.5 }))).toEqual({
        ...answer,
        duplicate: true,
      });
    }
    expect(await logged()).toEqual(['m1']);
  });

  it('P15 the same id with another event or payload is a conflict, on every node; the first stands', async () => {
    await start();
    const client = await left.connect('ada', { protocols });
    await client.reply(publish('m1', { text: 'hi' }));
    const other = await right.connect('ada', { protocols });
    for (const peer of [client, other]) {
      expect(await peer.error(publish('m1', { text: 'ho' }))).toMatchObject({
        code: 'conflict',
        retryable: false,
      });
      expect((await peer.error(publish('m1', { text: 'hi' }, { event: 'shouted' }))).code).toBe('conflict');
    }
    expect((await readLog(left, CHANNEL)).events).toMatchObject([{ id: 'm1', payload: { text: 'hi' } }]);
  });
});

describe('P15 applied once', () => {
  it('P15 G4 of the same publish sent at once on two connections and nodes one is appended', async () => {
    await start();
    const clients = await Promise.all([left, right, left, right].map((node) => node.connect('ada')));
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(clients.map((client) => client.reply(publish(`m${round}`))));
      expect(answers.filter(({ duplicate }) => duplicate === false)).toHaveLength(1);
      expect(new Set(answers.map(({ seq }) => seq))).toEqual(new Set([round + 1]));
    }
    expect(await logged()).toHaveLength(20);
  });

  it('P15 the id of another user, or in another channel, is another publish', async () => {
    await start();
    const ada = await left.connect('ada');
    const bob = await left.connect('bob');
    expect(await ada.reply(publish('m1'))).toMatchObject({ seq: 1, duplicate: false });
    expect(await bob.reply(publish('m1'))).toMatchObject({ seq: 2, duplicate: false });
    expect(await ada.reply(publish('m1', 'm1', { channel: 'rooms.2' }))).toMatchObject({
      seq: 1,
      duplicate: false,
    });
  });

  it('P15 P28f an anonymous client is known by its ticket, on any node', async () => {
    await start(undefined, true);
    const first = await left.connect();
    const ticket = first.welcome?.session as string;
    expect(await first.reply(publish('m1'))).toMatchObject({ seq: 1, duplicate: false });
    const back = await right.open();
    await back.hello(undefined, { session: ticket });
    expect(await back.reply(publish('m1'))).toMatchObject({ seq: 1, duplicate: true });
    const stranger = await right.connect();
    expect(await stranger.reply(publish('m1'))).toMatchObject({ seq: 2, duplicate: false });
  });

  it('P15a what the client sent is compared, not what the handler made of it; key, ttl and the like do not count', async () => {
    let runs = 0;
    await start(() => ({ run: ++runs }));
    const client = await left.connect('ada');
    const { seq } = await client.reply(publish('m1', 'x', { key: 'a' }));
    const other = await right.connect('ada');
    expect(await other.reply(publish('m1', 'x', { key: 'b', ttl: 5, trace: 't' }))).toMatchObject({
      seq,
      duplicate: true,
    });
    expect((await other.error(publish('m1', { run: 1 }))).code).toBe('conflict');
    expect((await readLog(left, CHANNEL)).events).toMatchObject([{ payload: { run: 1 } }]);
  });

  it('P15c G4 the handler is given the id as idempotency key', async () => {
    const keys: string[] = [];
    await start(({ id, payload }) => {
      keys.push(id);
      return payload;
    });
    const client = await left.connect('ada');
    await client.reply(publish('m1'));
    const other = await right.connect('ada');
    await other.reply(publish('m1'));
    expect(new Set(keys)).toEqual(new Set(['m1']));
  });

  it('P15e a refused publish leaves no trace: its id may be used again', async () => {
    let refuse = true;
    await start(({ payload }) => {
      if (refuse) throw new RealtimeError('muted');
      return payload;
    });
    const client = await left.connect('ada');
    expect((await client.error(publish('m1', 'no'))).code).toBe('muted');
    refuse = false;
    expect(await client.reply(publish('m1', 'yes'))).toMatchObject({ seq: 1, duplicate: false });
    expect((await readLog(left, CHANNEL)).events).toMatchObject([{ payload: 'yes' }]);
  });
});

describe('P16 order', () => {
  it('P16 is the order sent, although handlers take their time, among those accepted', async () => {
    await start(async ({ payload }) => {
      const n = payload as number;
      // Later ones are quicker: without lanes they would overtake.
      for (let turn = 0; turn < 20 - n; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (n % 5 === 3) throw new RealtimeError('muted');
      return n;
    });
    const client = await left.connect('ada');
    const sent = Array.from({ length: 20 }, (_, index) => index);
    client.sendAll(sent.slice(0, 10).map((n) => publish(`m${n}`, n)));
    client.sendAll(sent.slice(10).map((n) => publish(`m${n}`, n)));
    for (const n of sent) await client.take({ ref: `m${n}` });
    expect(await logged()).toEqual(sent.filter((n) => n % 5 !== 3).map((n) => `m${n}`));
  });

  it('P16 publishes to another channel do not wait', async () => {
    let finish = (): void => undefined;
    await start(({ channel }) =>
      channel === CHANNEL ? new Promise<void>((resolve) => (finish = resolve)) : undefined,
    );
    const client = await left.connect('ada');
    client.sendAll([publish('m1'), publish('m2', 1, { channel: 'rooms.2' })]);
    expect((await client.next('reply')).ref).toBe('m2');
    finish();
    expect((await client.next('reply')).ref).toBe('m1');
  });

  it('P16 P17 of a pipeline whose first failed nothing is appended; sent again, all is, in order', async () => {
    let fail = true;
    await start(({ id, payload }) => {
      if (fail && id === 'm1') throw new RealtimeError('unavailable');
      return payload;
    });
    const client = await left.connect('ada');
    const pipeline = [
      publish('m1'),
      publish('m2', 2, { after: 'm1' }),
      publish('m3', 3, { after: 'm2' }),
      publish('m4', 4, { after: 'm3' }),
    ];
    client.sendAll(pipeline);
    const codes: unknown[] = [];
    for (const { id } of pipeline) codes.push((await client.take({ ref: id })).payload);
    expect(codes).toMatchObject([
      { code: 'unavailable', retryable: true },
      { code: 'out_of_order', retryable: true },
      { code: 'out_of_order', retryable: true },
      { code: 'out_of_order', retryable: true },
    ]);
    expect(await logged()).toEqual([]);
    fail = false;
    // After a reconnect, on another node.
    const back = await right.connect('ada');
    back.sendAll(pipeline);
    for (const [index, { id }] of pipeline.entries()) {
      expect((await back.take({ ref: id })).payload).toMatchObject({ seq: index + 1, duplicate: false });
    }
    expect(await logged()).toEqual(['m1', 'm2', 'm3', 'm4']);
  });

  it('P16 after an acknowledged publish of the same user, from any node', async () => {
    await start();
    const client = await left.connect('ada');
    await client.reply(publish('m1'));
    const other = await right.connect('ada');
    expect(await other.reply(publish('m2', 2, { after: 'm1' }))).toMatchObject({ seq: 2 });
    // P16b: of another producer, an id says nothing.
    const bob = await right.connect('bob');
    expect((await bob.error(publish('m3', 3, { after: 'm1' }))).code).toBe('out_of_order');
    // P16a: without `after` it goes through.
    expect(await bob.reply(publish('m3', 3))).toMatchObject({ seq: 3 });
  });
});

describe('P17 what the server owes a client that sends again', () => {
  /** A broker whose appends happen, while the answer says that nothing is known. */
  function muted(): Broker & { muted: boolean } {
    const inner = memoryBroker();
    const broker: Broker & { muted: boolean } = Object.assign(
      alteredBroker(inner, {
        log: {
          async appendMany(requests) {
            const outcomes = await inner.log.appendMany(requests);
            if (broker.muted) throw new RealtimeError('timeout');
            return outcomes;
          },
        },
      }),
      { muted: false },
    );
    return broker;
  }

  it('P17a G21 timeout means unknown: sent again under its id, the publish is found in the log', async () => {
    const broker = muted();
    left = await startWireServer({ channels: [wireChannel('rooms.:room', { publish: ['said'] })], broker });
    close = () => left.close();
    const client = await left.connect('ada');
    broker.muted = true;
    expect(await client.error(publish('m1'))).toMatchObject({ code: 'timeout', retryable: true });
    broker.muted = false;
    expect(await client.reply(publish('m1'))).toMatchObject({ seq: 1, duplicate: true });
    expect(await logged()).toEqual(['m1']);
  });

  it('P17 a publish that is larger than the broker takes is refused for good', async () => {
    const broker = alteredBroker(memoryBroker(), {
      log: { appendMany: async (requests) => requests.map(() => ({ ok: false, code: 'message_too_large' })) },
    });
    left = await startWireServer({ channels: [wireChannel('rooms.:room', { publish: ['said'] })], broker });
    close = () => left.close();
    const client = await left.connect('ada');
    expect(await client.error(publish('m1'))).toMatchObject({ code: 'message_too_large', retryable: false });
    await expect(left.engine.publish(CHANNEL, 'said', 1)).rejects.toMatchObject({
      code: 'message_too_large',
    });
  });

  it('P17 G4 a publish whose connection was cut before the answer is in the log once, when it is sent again', async () => {
    await start();
    let client: WireClient = await left.connect('ada');
    for (let round = 0; round < 30; round++) {
      client.send(publish(`m${round}`));
      // Cut at another moment each time: before, while and after the server reads it.
      for (let turn = 0; turn < round % 6; turn++) await new Promise((resolve) => setImmediate(resolve));
      client.terminate();
      client = await (round % 2 === 0 ? right : left).connect('ada');
      expect(await client.reply(publish(`m${round}`))).toMatchObject({ seq: round + 1 });
    }
    expect(await logged()).toEqual(Array.from({ length: 30 }, (_, index) => `m${index}`));
  });
});
