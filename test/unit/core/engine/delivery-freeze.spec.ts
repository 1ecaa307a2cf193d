import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type {
  AuthorizationResult,
  ChannelDefinition,
} from '../../../../lib/core/ports/channel-definition.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { until } from '../../../support/until.js';

const BOUND = 10_000;
const ROOM = 'rooms.1';
const NEWS = 'news.1';

let harness: EngineHarness;
let store: MemoryStore;
let broker: ReturnType<typeof lossyBroker>;
let authorizer: (user: string) => MaybePromise<AuthorizationResult>;
afterEach(() => harness.stop());

/** Channels of which the one needs an authorization and the other does not. */
function channels(policy: Parameters<typeof channel>[1] = {}): readonly ChannelDefinition[] {
  const requests = new Map([['count', () => 7]]);
  return [
    channel('rooms.:room', {
      ...policy,
      behaviour: {
        authorize: { subscribe: ({ user }) => authorizer(user?.id ?? ''), publish: () => true },
        requests,
      },
    }),
    channel('news.:topic', { behaviour: { requests } }),
  ];
}

async function begin(
  policy: Parameters<typeof channel>[1] = { policy: { presence: { graceMs: 0 } } },
  settings: SettingsPatch = {},
): Promise<void> {
  authorizer = () => true;
  store = new MemoryStore();
  broker = lossyBroker(memoryBroker({ store }));
  harness = await EngineHarness.start(channels(policy), {
    broker,
    // Nobody here answers pings.
    settings: { heartbeat: { intervalMs: 1e9 }, ...settings },
  });
  prove();
}

const prove = (forMs = BOUND): void => broker.listener?.onControlCurrent(forMs);

async function expire(): Promise<void> {
  harness.clock.advance(BOUND);
  await quiet();
}

async function recover(): Promise<void> {
  prove();
  await quiet();
}

const seqs = (client: FakeConnection): (number | undefined)[] => client.take('event').map(({ seq }) => seq);

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Subscribed to both channels; the answers are taken. */
async function follower(user: string): Promise<FakeConnection> {
  const client = await harness.subscriber(ROOM, `user:${user}`);
  client.send({ type: 'subscribe', id: 'news', channel: NEWS });
  await quiet();
  client.take();
  return client;
}

describe('a node that cannot prove that it knows every revoke', () => {
  beforeEach(() => begin());

  it('withholds events of authorized channels from the bound on, and disconnects no client (G11)', async () => {
    const ada = await follower('ada');
    harness.clock.advance(BOUND - 1);
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([1]);
    expect(harness.engine.status.withholding).toBe(false);
    harness.clock.advance(1);
    await harness.publish(ROOM, 3);
    expect(ada.take()).toEqual([]);
    expect(ada.closed).toBeUndefined();
    expect(harness.engine.status.withholding).toBe(true);
  });

  it('resumes without gap or repeat when the proof is renewed (G11)', async () => {
    const ada = await follower('ada');
    await harness.publish(ROOM, 2);
    await expire();
    await harness.publish(ROOM, 600);
    expect(seqs(ada)).toEqual([1, 2]);
    await recover();
    await harness.publish(ROOM, 2);
    expect(ada.take().map(({ type, seq }) => [type, seq])).toEqual(
      range(3, 604).map((seq) => ['event', seq]),
    );
    expect(harness.engine.status.withholding).toBe(false);
  });

  it('delivers events of public channels (G11)', async () => {
    const ada = await follower('ada');
    await expire();
    const frames = ada.frames.length;
    await harness.publish(NEWS, 3);
    await harness.publish(ROOM, 3);
    expect(ada.take().map(({ channel: name, seq }) => [name, seq])).toEqual([
      [NEWS, 1],
      [NEWS, 2],
      [NEWS, 3],
    ]);
    // Straight from the shared batch, as ever.
    expect(ada.frames.length - frames).toBe(1);
  });

  it('applies a late revoke before everything that was withheld (G11)', async () => {
    const [ada, eve] = [await follower('ada'), await follower('eve')];
    ada.take();
    await expire();
    await harness.publish(ROOM, 3);
    await harness.engine.revoke('ada', ROOM);
    await recover();
    await harness.publish(ROOM);
    expect(ada.take().map(({ type, channel: name }) => [type, name])).toEqual([['unsubscribed', ROOM]]);
    expect(seqs(eve)).toEqual([1, 2, 3, 4]);
  });

  it('withholds what was queued before too, and sends it first afterwards (G11)', async () => {
    const ada = await follower('ada');
    ada.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM, 2);
    await harness.publish(NEWS);
    await expire();
    ada.drain();
    await harness.publish(ROOM, 2);
    // The first had been handed to the socket already.
    expect(ada.take().map(({ channel: name, seq }) => [name, seq])).toEqual([
      [ROOM, 1],
      [NEWS, 1],
    ]);
    await recover();
    expect(seqs(ada)).toEqual([2, 3, 4, 5]);
  });

  it('tells that a client stands before what is withheld from it (G11)', async () => {
    const ada = await follower('ada');
    const stands = () => ada.handler.positions().get(ROOM)?.seq;
    ada.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM, 2);
    await expire();
    ada.drain();
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([1]);
    expect(stands()).toBe(1);
    await recover();
    expect(seqs(ada)).toEqual([2, 3, 4]);
    expect(stands()).toBe(4);
  });

  it('never sends queued events of a channel that is then revoked (G11, P24)', async () => {
    const ada = await follower('ada');
    ada.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM, 2);
    ada.send({ type: 'history', id: 'h', channel: ROOM, payload: {} });
    await quiet();
    await expire();
    await harness.engine.revoke('ada');
    ada.drain();
    await recover();
    expect(ada.take().map(({ type, seq, ref }) => [type, seq ?? ref])).toEqual([
      ['event', 1],
      ['error', 'h'],
      ['unsubscribed', undefined],
      ['unsubscribed', undefined],
    ]);
  });

  it('pauses a replay where it is, and completes it before live events afterwards (G11, P12)', async () => {
    await harness.publish(ROOM, 700);
    const { epoch } = (await harness.engine.application.history(ROOM, { limit: 1 })).position;
    const ada = await harness.greet('user:ada');
    ada.take();
    ada.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position: { epoch, seq: 100 } } });
    let reads = 0;
    broker.onRead = async (_, page) => {
      // The proof runs out while a page is on its way.
      if (++reads === 4) harness.clock.advance(BOUND);
      await quiet();
      return page;
    };
    await until('the fourth read', () => reads === 4);
    await quiet();
    await quiet();
    const [answer, ...events] = ada.take();
    expect(answer).toMatchObject({ type: 'reply', ref: 's', payload: { recovery: 'complete' } });
    expect(events.length).toBeGreaterThan(0);
    await harness.publish(ROOM, 2);
    expect(reads).toBe(4);
    expect(ada.take()).toEqual([]);
    broker.onRead = undefined;
    await recover();
    await harness.publish(ROOM);
    const all = [...events, ...ada.take()].map(({ type, seq }) => (type === 'event' ? seq : type));
    expect(all).toEqual([...range(101, 700), 'resumed', ...range(701, 703)]);
    expect(events.length).toBeLessThan(600);
  });

  it('announces a log that changed during the freeze before its first event (G11)', async () => {
    const ada = await follower('ada');
    await harness.publish(ROOM, 3);
    ada.take();
    await expire();
    store.failOver(ROOM, 3);
    await harness.publish(ROOM, 2);
    expect(ada.take()).toEqual([]);
    await recover();
    const [reset, ...rest] = ada.take();
    expect(reset).toMatchObject({ type: 'reset', payload: { recovery: 'complete' } });
    expect(rest.filter(({ type }) => type === 'event').map(({ seq }) => seq)).toEqual([4, 5]);
  });

  it('does not send a reset that was prepared before the freeze ahead of the next one (G11)', async () => {
    const ada = await follower('ada');
    await harness.publish(ROOM, 3);
    ada.take();
    store.failOver(ROOM, 3);
    broker.onRead = async (_, page) => {
      if (!harness.engine.status.withholding) harness.clock.advance(BOUND);
      return page;
    };
    await harness.publish(ROOM);
    expect(ada.take()).toEqual([]);
    broker.onRead = undefined;
    await recover();
    expect(ada.take().map(({ type, seq }) => [type, seq])).toEqual([
      ['reset', undefined],
      ['event', 4],
      ['resumed', 4],
    ]);
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([5]);
  });

  it.each(['subscribe', 'history', 'presence', 'request', 'signal'])(
    'answers a %s of an authorized channel with unavailable as retryable (G11)',
    async (type) => {
      const ada = type === 'subscribe' ? await harness.greet('user:ada') : await follower('ada');
      await expire();
      ada.take();
      const command = {
        ...(type === 'request' || type === 'signal' ? { event: type === 'signal' ? 'typing' : 'count' } : {}),
        type,
        payload: {},
      };
      ada.send({ ...command, id: 'q', channel: ROOM });
      await quiet();
      expect(ada.take()).toMatchObject([
        { type: 'error', ref: 'q', payload: { code: 'unavailable', retryable: true } },
      ]);
      await recover();
      ada.send({ ...command, id: 'again', channel: ROOM });
      await quiet();
      expect(ada.take('reply')).toMatchObject([{ ref: 'again' }]);
    },
  );

  it.each(['subscribe', 'history', 'request', 'signal'])(
    'answers a %s of a public channel (G11)',
    async (type) => {
      const ada = type === 'subscribe' ? await harness.greet('user:ada') : await follower('ada');
      await expire();
      ada.take();
      const event = type === 'signal' ? 'typing' : 'count';
      ada.send({
        type,
        id: 'q',
        channel: NEWS,
        payload: {},
        ...(type.startsWith('s') && type !== 'signal' ? {} : { event }),
      });
      await quiet();
      expect(ada.take('reply')).toMatchObject([{ ref: 'q' }]);
    },
  );

  it.each(['its authorization', 'the log'])(
    'does not commit a subscribe that waits for %s when the proof expires (G11)',
    async (what) => {
      await harness.publish(ROOM, 2);
      const { epoch } = (await harness.engine.application.history(ROOM)).position;
      const ada = await harness.greet('user:ada');
      ada.take();
      if (what === 'the log') {
        broker.onRead = async (_, page) => {
          harness.clock.advance(BOUND);
          return page;
        };
      } else {
        authorizer = async () => {
          harness.clock.advance(BOUND);
          return true;
        };
      }
      ada.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position: { epoch, seq: 0 } } });
      await quiet();
      expect(ada.take()).toMatchObject([{ type: 'error', ref: 's', payload: { code: 'unavailable' } }]);
      await recover();
      expect(ada.take()).toEqual([]);
    },
  );

  it('does not send a page of history that was read before the proof expired (G11)', async () => {
    const ada = await follower('ada');
    broker.onRead = async (_, page) => {
      harness.clock.advance(BOUND);
      return page;
    };
    ada.send({ type: 'history', id: 'h', channel: ROOM, payload: {} });
    await quiet();
    expect(ada.take()).toMatchObject([{ type: 'error', ref: 'h', payload: { code: 'unavailable' } }]);
  });

  it('drops signals, and shows missing versions of presence afterwards (G11)', async () => {
    const ada = await follower('ada');
    await expire();
    await harness.engine.application.signal(ROOM, 'typing', {});
    await harness.engine.application.signal(NEWS, 'typing', {});
    await broker.presence.enter({ channel: ROOM, member: 'eve', device: 'd', generation: 1 }, 30_000);
    await quiet();
    expect(ada.take().map(({ type, channel: name }) => [type, name])).toEqual([['signal', NEWS]]);
    await recover();
    const { epoch, version } = await harness.engine.application.members(ROOM);
    expect(ada.take()).toMatchObject([
      { type: 'presence', payload: { epoch, version, previous: version, join: [], update: [], leave: [] } },
    ]);
    // Who missed nothing is told nothing.
    await expire();
    await recover();
    expect(ada.take()).toEqual([]);
  });

  it('withholds events also when the process was suspended and no timer fired (G11)', async () => {
    const ada = await follower('ada');
    const at = harness.clock.monotonic() + BOUND;
    const stood = jest.spyOn(harness.clock, 'monotonic').mockReturnValue(at);
    await harness.publish(ROOM, 2);
    expect(ada.take()).toEqual([]);
    await recover();
    expect(seqs(ada)).toEqual([1, 2]);
    // What was withheld at the end of a turn keeps no later turn from being flushed.
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([3]);
    stood.mockRestore();
  });

  it('withholds queued events of a slow client when the process was suspended (G11)', async () => {
    const ada = await follower('ada');
    ada.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM);
    const stood = jest.spyOn(harness.clock, 'monotonic').mockReturnValue(harness.clock.monotonic() + BOUND);
    ada.drain();
    await quiet();
    expect(seqs(ada)).toEqual([1]);
    stood.mockRestore();
  });
});

describe('a delivery freeze that occurs repeatedly', () => {
  it('gives slow and fast clients the log once and in order (G11, G3)', async () => {
    await begin({
      policy: { log: { retain: true, size: 100_000, maxBytes: 8_388_608, ttlMs: 1e9, dedupeMs: 0 } },
    });
    const clients = [await follower('ada'), await follower('eve'), await follower('bob')];
    let state = 7;
    const next = (bound: number): number => (state = (state * 48271) % 2147483647) % bound;
    const slow = new Set<FakeConnection>();
    for (let round = 0; round < 120; round++) {
      const client = clients[next(clients.length)];
      if (client !== undefined && slow.delete(client)) client.drain();
      else if (client !== undefined && next(3) === 0) slow.add(client).forEach((one) => one.stall());
      if (next(4) === 0) harness.clock.advance(BOUND);
      if (next(3) === 0) prove();
      // Now and then without letting the turn end.
      if (next(3) === 0) void harness.publish(ROOM, next(5));
      else await harness.publish(ROOM, next(400));
    }
    for (const client of slow) client.drain();
    await quiet();
    await recover();
    await harness.publish(ROOM);
    harness.clock.advance(500);
    await quiet();
    const tip = (await harness.engine.application.history(ROOM, { limit: 1 })).position.seq;
    for (const client of clients) {
      expect(client.closed).toBeUndefined();
      expect(client.received.filter(({ type }) => type === 'gap')).toEqual([]);
      expect(seqs(client)).toEqual(range(1, tip));
    }
    expect(tip).toBeGreaterThan(5_000);
  });
});

describe('a delivery freeze with many subscribers', () => {
  it('resumes in parts, and an expiry during the resume freezes the rest again (G11, G14)', async () => {
    await begin({}, { limits: { maxConnectionsPerAddress: 1_000 } });
    const clients = Array.from({ length: 600 }, (_, index) => {
      const client = harness.connect();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: `user:u${index}` } });
      client.send({ type: 'subscribe', id: 's', channel: ROOM });
      return client;
    });
    await quiet();
    await expire();
    await harness.publish(ROOM, 3);
    for (const client of clients) client.take();
    prove();
    harness.clock.advance(BOUND);
    await quiet();
    // What had gone on was queued, and waits aside again.
    expect(clients.flatMap(seqs)).toEqual([]);
    prove();
    await settle();
    const first = clients.filter((client) => client.received.some(({ type }) => type === 'event'));
    expect(first.length).toBeGreaterThan(0);
    expect(first.length).toBeLessThan(600);
    await quiet();
    expect(clients.map(seqs)).toEqual(clients.map(() => [1, 2, 3]));
  });
});

describe('lost records of revokes', () => {
  beforeEach(() => begin({}));

  it('every subscription is authorized again: refused users are revoked, of an error nothing is known yet (G11)', async () => {
    const allowed = new Map<string, boolean | string>([
      ['ada', false],
      ['eve', true],
      ['bob', 'an error'],
    ]);
    const names = [...allowed.keys()];
    const clients = await Promise.all(names.map(follower));
    authorizer = (user) => {
      const answer = allowed.get(user);
      if (typeof answer === 'string') throw new Error(answer);
      return answer === true;
    };
    await broker.listener?.onControlLost();
    await quiet();
    await harness.publish(ROOM);
    await harness.publish(NEWS);
    expect(clients.map((client) => client.take().map(({ type, channel: name }) => [type, name]))).toEqual([
      [
        ['unsubscribed', ROOM],
        ['event', NEWS],
      ],
      [
        ['event', ROOM],
        ['event', NEWS],
      ],
      [['event', NEWS]],
    ]);
    allowed.set('bob', true);
    harness.clock.advance(500);
    await quiet();
    expect(clients[2]?.take()).toMatchObject([{ type: 'event', channel: ROOM, seq: 1 }]);
  });

  it('a bounded number of authorizations runs at once, each with one lease timer (G11)', async () => {
    authorizer = () => ({ forMs: 60_000 });
    const clients = await Promise.all(
      Array.from({ length: 100 }, (_, index) => harness.subscriber(ROOM, `user:u${index}`)),
    );
    prove(1e9);
    const { pending } = harness.clock;
    let underWay = 0;
    let most = 0;
    let asked = 0;
    authorizer = async () => {
      asked++;
      most = Math.max(most, ++underWay);
      await settle();
      underWay--;
      return { forMs: 60_000 };
    };
    await broker.listener?.onControlLost();
    expect([asked, most]).toEqual([100, 64]);
    expect(harness.clock.pending).toBe(pending);
    harness.clock.advance(60_000);
    await quiet();
    expect(asked).toBe(200);
    expect(clients.filter((client) => client.closed !== undefined)).toEqual([]);
  });
});

describe('proofs that a node knows every revoke', () => {
  it('the latest expiry of all proofs counts, in any order, with one timer for all (G11)', async () => {
    await begin();
    const ada = await follower('ada');
    const { pending } = harness.clock;
    harness.clock.advance(4_000);
    prove(9_000);
    prove(500);
    prove(-1);
    expect(harness.clock.pending).toBe(pending);
    harness.clock.advance(8_999);
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([1]);
    harness.clock.advance(1);
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([]);
    // One that is over by the time that it comes proves nothing.
    prove(0);
    await quiet();
    expect(seqs(ada)).toEqual([]);
  });

  it('a broker whose revokes cannot be late needs no proofs (G11)', async () => {
    authorizer = () => true;
    harness = await EngineHarness.start(channels(), { settings: { heartbeat: { intervalMs: 1e9 } } });
    const ada = await harness.subscriber(ROOM, 'user:ada');
    harness.clock.advance(86_400_000);
    await harness.publish(ROOM);
    expect(seqs(ada)).toEqual([1]);
  });

  it('the gap of a dropped tail is sent after the events queued before it (G11, P25)', async () => {
    await begin({ policy: { overflow: 'drop-newest' } }, { outbox: { maxBytes: 2_000 } });
    const ada = await follower('ada');
    ada.stall();
    for (let index = 0; index < 6; index++) await harness.publish(ROOM, 1, { size: 500 });
    await expire();
    ada.drain();
    await quiet();
    expect(ada.take().map(({ type, seq }) => [type, seq])).toEqual([['event', 1]]);
    await recover();
    const rest = ada.take().map(({ type, seq, payload }) => (type === 'gap' ? payload : seq));
    expect(rest.at(-1)).toMatchObject({ to: 6, reason: 'overflow' });
    const { from } = rest.at(-1) as { readonly from: number };
    expect(rest.slice(0, -1)).toEqual(range(2, from - 1));
    expect(from).toBeGreaterThan(2);
  });

  it('withheld events count against the queue of a slow client (G13)', async () => {
    await begin({}, { outbox: { maxBytes: 3_000 } });
    const ada = await follower('ada');
    ada.stall();
    for (let index = 0; index < 4; index++) await harness.publish(ROOM, 1, { size: 500 });
    await expire();
    // They would fit without the withheld ones.
    for (let index = 0; index < 2; index++) await harness.publish(NEWS, 1, { size: 500 });
    expect(ada.closed?.code).toBe(4003);
  });
});
