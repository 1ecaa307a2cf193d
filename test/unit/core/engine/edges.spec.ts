import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { OverflowPolicy } from '../../../../lib/core/ports/channel-definition.js';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import { PRESENCE_COUNT } from '../../../../lib/protocol/envelope.js';
import type { Position } from '../../../../lib/protocol/position.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

// Every constant of the core that cuts something into pieces, or bounds it, met exactly and missed by one. What is lost at
// such an edge is one event, one member or one session, which larger tests do not miss.
const ROOM = 'rooms.1';

let harness: EngineHarness;
let broker: ReturnType<typeof lossyBroker>;
afterEach(() => harness.stop());

async function start(
  policy: Parameters<typeof channel>[1] = {},
  settings: SettingsPatch = {},
): Promise<void> {
  broker = lossyBroker(memoryBroker());
  harness = await EngineHarness.start([channel('rooms.:room', policy)], {
    broker,
    settings: { heartbeat: { intervalMs: 1e9 }, ...settings },
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

const seqs = (client: FakeConnection): (number | undefined)[] => client.take('event').map(({ seq }) => seq);

/** Subscribes from a position, and gives the answer; what follows is still to be taken. */
async function resume(
  position: Position,
): Promise<{ client: FakeConnection; answer: Record<string, unknown> }> {
  const client = await harness.greet();
  client.take();
  client.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position } });
  await quiet();
  const answer = client.received.find(({ ref }) => ref === 's');
  expect(answer?.type).toBe('reply');
  return { client, answer: answer?.payload as Record<string, unknown> };
}

async function positionAt(seq: number): Promise<Position> {
  return { ...(await harness.engine.application.history(ROOM, { limit: 1 })).position, seq };
}

describe('the sizes of a replay', () => {
  // Pages hold 128 events, the ring 256.
  it.each([1, 2, 127, 128, 129, 255, 256, 257, 384, 385, 513])(
    'a replay of %i events sends each once and in order, then resumed, then live events (P12, G8)',
    async (count) => {
      await start({}, { outbox: { maxMessages: 100_000, maxBytes: 1e9 } });
      await harness.publish(ROOM, count);
      const { client, answer } = await resume(await positionAt(0));
      expect(answer).toMatchObject({ recovery: 'complete', position: { seq: count } });
      await harness.publish(ROOM, 1);
      const got = client.take().filter(({ type }) => type !== 'reply');
      expect(got.map(({ type, seq }) => `${type} ${seq}`)).toEqual([
        ...range(1, count).map((seq) => `event ${seq}`),
        `resumed ${count}`,
        `event ${count + 1}`,
      ]);
    },
  );

  it.each([
    [8, 8, 0],
    [9, 8, 1],
  ])(
    'a replay of %i events reads the log only beyond the %i that the node keeps (G8)',
    async (missed, ringSize, pages) => {
      await start({}, { ringSize });
      // Somebody keeps the channel served, so that the ring fills.
      await harness.subscriber(ROOM);
      await harness.publish(ROOM, 20);
      const position = await positionAt(20 - missed);
      broker.reads.length = 0;
      const { client } = await resume(position);
      expect(seqs(client)).toEqual(range(20 - missed + 1, 20));
      // One read proves the position; the rest are pages.
      expect(broker.reads.length - 1).toBe(pages);
    },
  );

  it.each([
    [10, 'complete', undefined],
    [11, 'truncated', { from: 2, to: 11, cause: 'limit' }],
  ])('a replay of %i events under a limit of 10 is %s (P11)', async (missed, recovery, rest) => {
    await start({ policy: { replayLimit: 10 } });
    await harness.publish(ROOM, missed);
    const { client, answer } = await resume(await positionAt(0));
    expect(answer).toMatchObject({ recovery, ...rest });
    expect(seqs(client)).toEqual(range(missed - 9, missed));
  });

  it.each([
    [10, 'complete', undefined],
    [11, 'truncated', { from: 2, to: 11, cause: 'trimmed' }],
  ])('a replay of %i events of a log that keeps 10 is %s (P11)', async (missed, recovery, rest) => {
    await start({
      policy: { log: { retain: true, size: 10, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 0 } },
    });
    await harness.publish(ROOM, missed);
    const { client, answer } = await resume(await positionAt(0));
    expect(answer).toMatchObject({ recovery, ...rest });
    expect(seqs(client)).toEqual(range(missed - 9, missed));
  });

  it.each([
    [4, 'complete'],
    [5, 'lost'],
  ])('a resume from %i, where the log ends at 4, is %s (P10)', async (seq, recovery) => {
    await start();
    await harness.publish(ROOM, 4);
    const { answer } = await resume(await positionAt(seq));
    expect(answer['recovery']).toBe(recovery);
  });
});

describe('the position of a snapshot', () => {
  it.each([
    ['the tip', 5, []],
    ['one before the tip', 4, [5]],
    ['one before the oldest event', 2, [3, 4, 5]],
    ['two before the oldest event', 1, 'unavailable'],
    ['one behind the tip', 6, 'unavailable'],
  ] as const)(
    'a snapshot that states %s is followed by a replay from exactly there, or refused (P26a)',
    async (_where, seq, expected) => {
      let position: Position = { epoch: '', seq: 0 };
      await start({
        policy: { log: { retain: true, size: 3, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 0 } },
        behaviour: { snapshot: { shareable: true, run: () => ({ state: 1, position }) } },
      });
      await harness.publish(ROOM, 5);
      position = await positionAt(seq);
      const client = await harness.greet();
      client.take();
      client.send({ type: 'subscribe', id: 's', channel: ROOM });
      await quiet();
      const answer = client.received.find(({ ref }) => ref === 's');
      if (typeof expected === 'string') expect(answer?.payload).toMatchObject({ code: expected });
      else expect(answer?.payload).toMatchObject({ position: { seq } });
      expect(seqs(client)).toEqual(typeof expected === 'string' ? [] : expected);
    },
  );
});

describe('a stated position that the log does not hold', () => {
  it('is logged once in ten seconds, however often clients subscribe (P26a)', async () => {
    const position: Position = { epoch: 'of another process', seq: 7 };
    await start({ behaviour: { snapshot: { shareable: true, run: () => ({ state: 1, position }) } } });
    const client = await harness.greet();
    const subscribe = async (id: string): Promise<void> => {
      client.send({ type: 'subscribe', id, channel: ROOM });
      await quiet();
    };
    await subscribe('a');
    await subscribe('b');
    expect(client.take('error').map(({ ref }) => ref)).toEqual(['a', 'b']);
    expect(harness.errors).toEqual([expect.stringContaining('states the position of another process/7')]);
    harness.clock.advance(10_000);
    await subscribe('c');
    expect(harness.errors.splice(0)).toEqual([
      expect.anything(),
      expect.stringContaining('(1 more of this kind since the last line)'),
    ]);
  });
});

describe('reading lost events from the log', () => {
  // One read gives 500 events; at most 1024 wait behind what is missing.
  it.each([1, 2, 499, 500, 501, 999, 1_000, 1_001])(
    'a gap of %i lost events is filled once and in order (G2, G5)',
    async (count) => {
      await start(
        {
          policy: { log: { retain: true, size: 10_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 0 } },
        },
        {
          outbox: { maxMessages: 100_000, maxBytes: 1e9 },
        },
      );
      const client = await harness.subscriber(ROOM);
      await harness.publish(ROOM, 1);
      broker.mangle = () => [];
      await harness.publish(ROOM, count);
      broker.mangle = undefined;
      await harness.publish(ROOM, 1);
      await quiet();
      expect(seqs(client)).toEqual(range(1, count + 2));
    },
  );

  it.each([1_023, 1_024, 1_025, 1_026])(
    '%i events that wait behind a single lost one are delivered once and in order (G5, G13)',
    async (count) => {
      await start(
        {
          policy: { log: { retain: true, size: 10_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 0 } },
        },
        {
          outbox: { maxMessages: 100_000, maxBytes: 1e9 },
        },
      );
      const client = await harness.subscriber(ROOM);
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      broker.mangle = (events) => [events.filter(({ seq }) => seq !== 1)];
      broker.onRead = async (_request, result) => {
        await gate;
        return result;
      };
      await harness.publish(ROOM, 1);
      await harness.publish(ROOM, count);
      expect(seqs(client)).toEqual([]);
      broker.onRead = undefined;
      release();
      for (let turn = 0; turn < 4; turn++) await quiet();
      expect(seqs(client)).toEqual(range(1, count + 1));
    },
  );

  it('a single lost event that the log no longer holds is announced as a gap of one (P25)', async () => {
    await start();
    const client = await harness.subscriber(ROOM);
    broker.mangle = (events) => [events.filter(({ seq }) => seq !== 2)];
    broker.onRead = (request, result) =>
      request.from === 2
        ? { ...result, oldest: 3, events: result.events.filter(({ seq }) => seq >= 3) }
        : result;
    await harness.publish(ROOM, 3);
    expect(client.take().map(({ type, seq, payload }) => (type === 'gap' ? payload : seq))).toEqual([
      1,
      { from: 2, to: 2, reason: 'expired', recoverable: false },
      3,
    ]);
  });
});

describe('the size of a page of history', () => {
  it.each([
    [undefined, 99, 99, false],
    [undefined, 100, 100, false],
    [undefined, 101, 100, true],
    [1, 1, 1, false],
    [1, 2, 1, true],
    [10, 10, 10, false],
    [10, 11, 10, true],
    [1_000, 1_000, 1_000, false],
    [1_000, 1_001, 1_000, true],
    [5_000, 1_000, 1_000, false],
    [5_000, 1_001, 1_000, true],
  ])(
    'a page with limit %p of a log of %i events has %i, and states whether there are more: %p',
    async (limit, count, got, more) => {
      await start({
        policy: { log: { retain: true, size: 10_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 0 } },
      });
      const client = await harness.subscriber(ROOM);
      await harness.publish(ROOM, count);
      client.take();
      for (const reverse of [false, true]) {
        client.send({
          type: 'history',
          id: `h${reverse}`,
          channel: ROOM,
          payload: { reverse, ...(limit === undefined ? {} : { limit }) },
        });
        await quiet();
        const [reply] = client.take('reply');
        const { events, more: rest } = reply?.payload as { events: { seq: number }[]; more: boolean };
        const expected = reverse ? range(count - got + 1, count).reverse() : range(1, got);
        expect(events.map(({ seq }) => seq)).toEqual(expected);
        expect(rest).toBe(more);
      }
    },
  );

  it.each([
    [3, 3, [3]],
    [1, 1, [1]],
    [5, 5, [5]],
    [6, 6, []],
    [4, 3, []],
  ])('a page of the range from %i to %i has exactly that range', async (from, until, expected) => {
    await start();
    await harness.publish(ROOM, 5);
    for (const reverse of [false, true]) {
      const { events } = await harness.engine.application.history(ROOM, { from, until, reverse });
      expect(events.map(({ seq }) => seq)).toEqual(expected);
    }
  });
});

describe('the size of a page of members', () => {
  // The answer to subscribe, and a page without a limit, have 100.
  it.each([99, 100, 101])(
    'a page of %i members has at most 100, and its cursor leads to the rest (P11a, G19)',
    async (count) => {
      await start({ policy: { presence: { maxMembers: 10_000 } } });
      for (let index = 1; index < count; index++) await harness.subscriber(ROOM, `user:u${index}`);
      const client = await harness.greet('user:last');
      client.take();
      client.send({ type: 'subscribe', id: 's', channel: ROOM });
      await quiet();
      type Page = { members: { id: string }[]; count: number; more?: string };
      const { presence } = client.received.find(({ ref }) => ref === 's')?.payload as { presence: Page };
      expect(presence.count).toBe(count);
      expect(presence.members).toHaveLength(Math.min(count, 100));
      expect(presence.more === undefined).toBe(count <= 100);
      const seen = presence.members.map(({ id }) => id);
      if (presence.more !== undefined) {
        client.send({ type: 'presence', id: 'p', channel: ROOM, payload: { cursor: presence.more } });
        await quiet();
        const rest = client.received.find(({ ref }) => ref === 'p')?.payload as Page;
        expect(rest.more).toBeUndefined();
        seen.push(...rest.members.map(({ id }) => id));
      }
      expect(seen.sort()).toEqual(['last', ...range(1, count - 1).map((index) => `u${index}`)].sort());
    },
  );

  it.each([
    [1, 1, false],
    [1, 2, true],
    [3, 3, false],
    [3, 4, true],
  ])('a page with limit %i of %i members states whether there are more: %p', async (limit, count, more) => {
    await start({ policy: { presence: {} } });
    for (let index = 1; index <= count; index++) await harness.subscriber(ROOM, `user:u${index}`);
    const page = await harness.engine.application.members(ROOM, { limit });
    expect(page.members).toHaveLength(limit);
    expect(page.more !== undefined).toBe(more);
  });

  it.each([
    [3, 'changes'],
    [4, 'a count'],
  ])('a channel of %i members, with a maxMembers of 3, sends %s (P22a)', async (count, told) => {
    await start({ policy: { presence: { maxMembers: 3 } } });
    const client = harness.connect();
    client.send({
      type: 'hello',
      id: 'h',
      payload: { versions: [1], token: 'user:u1', features: [PRESENCE_COUNT] },
    });
    client.send({ type: 'subscribe', id: 's', channel: ROOM });
    await quiet();
    client.take();
    for (let index = 2; index < count; index++) await harness.subscriber(ROOM, `user:u${index}`);
    client.take();
    await harness.subscriber(ROOM, `user:u${count}`);
    const [news] = client.take('presence');
    expect('join' in (news?.payload as object)).toBe(told === 'changes');
  });
});

describe('work that is done in parts', () => {
  // 64 authorizations are asked at once; 256 subscriptions go on in one turn.
  it.each([63, 64, 65, 129])(
    '%i authorizations are all repeated when records of revokes are lost (G11)',
    async (count) => {
      let admits = true;
      broker = lossyBroker(memoryBroker());
      harness = await EngineHarness.start(
        [channel('rooms.:room', { behaviour: { authorize: { subscribe: async () => admits } } })],
        { broker, settings: { heartbeat: { intervalMs: 1e9 } } },
      );
      const clients: FakeConnection[] = [];
      for (let index = 0; index < count; index++)
        clients.push(await harness.subscriber(ROOM, `user:u${index}`));
      admits = false;
      await broker.listener?.onControlLost();
      await quiet();
      expect(clients.map((client) => client.take('unsubscribed').length)).toEqual(clients.map(() => 1));
    },
  );

  it.each([255, 256, 257, 513])(
    '%i subscriptions all resume when the node knows the revokes again (G11, G14)',
    async (count) => {
      broker = lossyBroker(memoryBroker());
      harness = await EngineHarness.start(
        [channel('rooms.:room', { behaviour: { authorize: { subscribe: () => true } } })],
        { broker, settings: { heartbeat: { intervalMs: 1e9 } } },
      );
      broker.listener?.onControlCurrent(10_000);
      const clients: FakeConnection[] = [];
      for (let index = 0; index < count; index++)
        clients.push(await harness.subscriber(ROOM, `user:u${index}`));
      harness.clock.advance(10_000);
      await harness.publish(ROOM, 2);
      expect(clients.flatMap((client) => client.take('event'))).toEqual([]);
      broker.listener?.onControlCurrent(10_000);
      for (let turn = 0; turn < 4; turn++) await quiet();
      expect(clients.map((client) => seqs(client).join())).toEqual(clients.map(() => '1,2'));
      await harness.publish(ROOM, 1);
      expect(clients.map((client) => seqs(client).join())).toEqual(clients.map(() => '3'));
    },
  );
});

describe('the limits of a connection', () => {
  it('a connection holds exactly maxChannels subscriptions, pending ones included, and one more for each that ends', async () => {
    const opened: (() => void)[] = [];
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          behaviour: {
            authorize: { subscribe: () => new Promise((resolve) => opened.push(() => resolve(true))) },
          },
        }),
      ],
      { settings: { limits: { maxChannels: 3 } } },
    );
    const client = await harness.greet('user:ada');
    client.take();
    const subscribe = async (name: string): Promise<void> => {
      client.send({ type: 'subscribe', id: name, channel: `rooms.${name}` });
      await quiet();
    };
    for (const name of ['a', 'b', 'c', 'd']) await subscribe(name);
    expect(client.take().map(({ ref, payload }) => [ref, (payload as { code: string }).code])).toEqual([
      ['d', 'too_many_channels'],
    ]);
    opened.splice(0).forEach((open) => open());
    await quiet();
    expect(client.take('reply').map(({ ref }) => ref)).toEqual(['a', 'b', 'c']);
    await subscribe('e');
    expect(client.take('error')).toHaveLength(1);
    client.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.b' });
    await subscribe('f');
    opened.splice(0).forEach((open) => open());
    await quiet();
    expect(client.take('reply').map(({ ref }) => ref)).toEqual(['u', 'f']);
    await subscribe('g');
    expect(client.take('error')).toHaveLength(1);
  });

  it('a connection is read up to one command below maxInFlight, and again when half of them are done (G16)', async () => {
    const opened: (() => void)[] = [];
    harness = await EngineHarness.start([], {
      requests: new Map([
        ['wait', { authorize: 'public', handle: () => new Promise<void>((resolve) => opened.push(resolve)) }],
      ]),
      settings: { limits: { maxInFlight: 8 } },
    });
    const client = await harness.greet();
    const begin = (count: number): void => {
      for (let index = 0; index < count; index++)
        client.send({ type: 'request', id: `r${opened.length}`, event: 'wait' });
    };
    for (let round = 0; round < 2; round++) {
      begin(7);
      expect(client.paused).toBe(false);
      begin(1);
      expect(client.paused).toBe(true);
      const finish = async (count: number): Promise<void> => {
        opened.splice(0, count).forEach((open) => open());
        await quiet();
      };
      await finish(3);
      expect(client.paused).toBe(true);
      await finish(1);
      expect(client.paused).toBe(false);
      await finish(4);
    }
    expect(client.take('reply')).toHaveLength(16);
  });

  it.each([
    [8, undefined],
    [9, 4805],
  ])(
    'a connection that sends %i commands before welcome, where 8 may wait, is closed with %p (P3)',
    async (count, code) => {
      let answer: () => void = () => undefined;
      const later = new Promise<object>((resolve) => (answer = () => resolve({})));
      harness = await EngineHarness.start([], {
        authenticator: { authenticate: () => later },
        settings: { limits: { maxEnvelopesPerFrame: 8 } },
      });
      const client = harness.connect();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 't' } });
      for (let index = 0; index < count; index++) client.send({ type: 'ping', id: `p${index}` });
      answer();
      await quiet();
      expect(client.closed?.code).toBe(code);
      if (code === undefined) expect(client.take('pong')).toHaveLength(count);
    },
  );

  it.each([
    ['maxConnections', 4006],
    ['maxConnectionsPerAddress', 4009],
  ] as const)(
    'a connection is admitted up to exactly %s, and again after one ends (G17)',
    async (limit, code) => {
      harness = await EngineHarness.start([], { settings: { limits: { [limit]: 2 } } });
      const [first, second] = [await harness.greet(), await harness.greet()];
      expect(harness.connect().closed?.code).toBe(code);
      expect(harness.engine.host.admit(first.handshake)).toBeDefined();
      second.drop();
      expect(harness.engine.host.admit(first.handshake)).toBeUndefined();
      const third = await harness.greet();
      expect(third.closed).toBeUndefined();
      expect(harness.connect().closed?.code).toBe(code);
    },
  );
});

describe('the bounds of an outbound queue', () => {
  const FULL = 10;

  /** A client that does not read, whose queue holds `waiting` events behind the one that is with the socket. */
  async function slow(overflow: OverflowPolicy, waiting: number, outbox: SettingsPatch['outbox'] = {}) {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { overflow } })], {
      settings: { outbox: { maxMessages: FULL, maxBytes: 1e9, ...outbox }, heartbeat: { intervalMs: 1e9 } },
    });
    const client = await harness.subscriber(ROOM);
    client.stall();
    await harness.publish(ROOM, 1);
    for (let index = 0; index < waiting; index++) await harness.publish(ROOM, 1);
    return client;
  }

  async function drained(client: FakeConnection): Promise<string[]> {
    client.drain();
    await quiet();
    return client
      .take()
      .filter(({ type }) => type === 'event' || type === 'gap')
      .map(({ type, seq, payload }: Envelope) => {
        if (type === 'event') return String(seq);
        const { from, to } = payload as { from: number; to: number };
        return `${from}-${to}`;
      });
  }

  it.each(['disconnect', 'drop-oldest', 'drop-newest', 'conflate'] as const)(
    'a queue that is exactly full of messages loses nothing under %s (G13)',
    async (overflow) => {
      const client = await slow(overflow, FULL);
      expect(client.closed).toBeUndefined();
      expect(await drained(client)).toEqual(range(1, FULL + 1).map(String));
    },
  );

  it('a queue that exceeds its limit by one message closes under disconnect (G13)', async () => {
    const client = await slow('disconnect', FULL + 1);
    expect(client.closed?.code).toBe(4003);
  });

  it('a queue that exceeds its limit by one message announces a gap of one under drop-newest (G13, P25)', async () => {
    const client = await slow('drop-newest', FULL + 1);
    expect(await drained(client)).toEqual([...range(1, FULL + 1).map(String), `${FULL + 2}-${FULL + 2}`]);
  });

  it('a queue that exceeds its limit by one message drops as many events as it takes under drop-oldest (G13, P25)', async () => {
    const client = await slow('drop-oldest', FULL + 1);
    const got = await drained(client);
    expect(got[0]).toBe('1');
    // The announcement takes the place of one event.
    expect(got[1]).toBe('2-3');
    expect(got.slice(2)).toEqual(range(4, FULL + 2).map(String));
  });

  it('a queue with room for a single message announces all that it drops (G13, P25)', async () => {
    const client = await slow('drop-oldest', 3, { maxMessages: 1 });
    const got = await drained(client);
    expect(got[0]).toBe('1');
    // Whatever was dropped is announced, and the client's cursor is at the tip afterwards.
    const last = got.at(-1) ?? '';
    expect(Number(last.split('-').at(-1))).toBe(4);
    expect(client.closed).toBeUndefined();
  });

  it.each([
    [0, undefined],
    [-1, 4003],
  ])(
    'a queue limit of exactly the bytes that wait, plus or minus %i, ends the connection with %p (G13)',
    async (change, code) => {
      const waiting = 5;
      const measured = await slow('disconnect', waiting);
      const held = measured.bufferedBytes;
      measured.drain();
      await quiet();
      // Of an event that is alone in a frame; the separator is the frame's.
      const bytes = measured.take('event').map((event) => Buffer.byteLength(JSON.stringify(event)));
      const maxBytes = held + bytes.slice(1).reduce((sum, size) => sum + size, 0);
      await harness.stop();
      const client = await slow('disconnect', waiting, { maxBytes: maxBytes + change });
      expect(client.closed?.code).toBe(code);
    },
  );

  it('a queue of answers accepts none beyond its limit (G13)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { outbox: { maxMessages: FULL, maxBytes: 1e9 }, heartbeat: { intervalMs: 1e9 } },
    });
    const client = await harness.subscriber(ROOM);
    client.stall();
    await harness.publish(ROOM, 1);
    const ask = async (id: string): Promise<void> => {
      client.send({ type: 'history', id, channel: ROOM });
      await quiet();
    };
    for (let index = 0; index < FULL; index++) await ask(`h${index}`);
    expect(client.closed).toBeUndefined();
    await ask('too many');
    expect(client.closed?.code).toBe(4003);
  });
});

describe('the life of an event', () => {
  // Live to subscribers that share a frame, and queued for one whose socket holds back.
  it.each(['that reads', 'that holds back'])(
    'lasts as long as its ttl, and not a millisecond longer, wherever the wall clock is: for a client %s (P30, G28)',
    async (kind) => {
      harness = await EngineHarness.start([channel('rooms.:room')], {
        settings: { heartbeat: { intervalMs: 1e9 } },
      });
      const client = await harness.subscriber(ROOM);
      const { application } = harness.engine;
      // Every move of time moves the wall clock by another hour, forth or back.
      for (let round = 0; round < 6; round++) {
        const isOver = round >= 3;
        await quiet();
        client.take();
        if (kind === 'that holds back') {
          client.stall();
          await application.publish(ROOM, 'said', 'first');
          await quiet();
        }
        await application.publish(ROOM, 'said', round, { ttl: 1_000 });
        harness.clock.advance(isOver ? 1_001 : 1_000);
        if (kind === 'that holds back') client.drain();
        await quiet();
        const last = client.take().at(-1);
        expect([round, last?.type]).toEqual([round, isOver ? 'gap' : 'event']);
      }
    },
  );
});
