import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { AuthorizationResult, AuthorizeHandler } from '../../../../lib/core/ports/channel-definition.js';
import type { PresenceEntry } from '../../../../lib/core/ports/broker.js';
import type { PresenceDiff } from '../../../../lib/protocol/messages.js';
import type { Position } from '../../../../lib/protocol/position.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

// Whatever is noted must be cleared, or asked again: what works once may be stuck afterwards. Each case here does the same
// three times, to one session or one channel.
const ROOM = 'rooms.1';
const TIMES = [1, 2, 3];

let harness: EngineHarness;
let memory: MemoryBroker;
let broker: ReturnType<typeof lossyBroker>;
afterEach(() => harness.stop());

async function start(
  parameters: Parameters<typeof channel>[1] = {},
  settings: SettingsPatch = {},
): Promise<void> {
  memory = memoryBroker();
  broker = lossyBroker(memory);
  harness = await EngineHarness.start([channel('rooms.:room', parameters)], {
    broker,
    settings: { heartbeat: { intervalMs: 1e9 }, ...settings },
  });
}

async function rest(ms: number): Promise<void> {
  harness.clock.advance(ms);
  await quiet();
}

async function send(connection: FakeConnection, ...commands: readonly object[]): Promise<void> {
  connection.send(...commands);
  await quiet();
}

const types = (connection: FakeConnection): string[] => connection.take().map(({ type }) => type);
const seqs = (connection: FakeConnection): (number | undefined)[] =>
  connection.take('event').map(({ seq }) => seq);

describe('subscribing to the same channel again', () => {
  it('a channel that is subscribed, left and subscribed again runs its hooks once each time, and sends nothing in between', async () => {
    const hooks: string[] = [];
    await start({
      policy: { presence: {} },
      behaviour: { onSubscribe: () => void hooks.push('+'), onUnsubscribe: () => void hooks.push('-') },
    });
    const client = await harness.greet('user:ada');
    client.take();
    for (const time of TIMES) {
      await send(client, { type: 'subscribe', id: `s${time}`, channel: ROOM });
      expect(client.take('reply')).toHaveLength(1);
      expect((await harness.engine.application.members(ROOM)).count).toBe(1);
      await harness.publish(ROOM);
      expect(seqs(client)).toEqual([2 * time - 1]);
      await send(client, { type: 'unsubscribe', id: `u${time}`, channel: ROOM });
      expect(types(client)).toEqual(['reply']);
      expect((await harness.engine.application.members(ROOM)).count).toBe(0);
      await harness.publish(ROOM);
      expect(types(client)).toEqual([]);
    }
    expect(hooks.join('')).toBe('+-+-+-');
  });

  it('a channel is served again after its linger time, which restarts with each last subscriber', async () => {
    let subscribed = 0;
    await start({}, { lingerMs: 1_000 });
    const { subscribe } = broker.log;
    broker.log.subscribe = (name) => {
      subscribed++;
      return subscribe(name);
    };
    const client = await harness.greet('user:ada');
    for (const time of TIMES) {
      await send(client, { type: 'subscribe', id: `s${time}`, channel: ROOM });
      await send(client, { type: 'unsubscribe', id: `u${time}`, channel: ROOM });
      await rest(900);
      // Back within the linger: it is not over for who is here, and the next begins at its own time.
      await send(client, { type: 'subscribe', id: `t${time}`, channel: ROOM });
      await send(client, { type: 'unsubscribe', id: `w${time}`, channel: ROOM });
      await rest(900);
      expect(harness.engine.status.channels).toBe(1);
      await send(client, { type: 'subscribe', id: `x${time}`, channel: ROOM });
      await rest(2_000);
      expect(harness.engine.status.channels).toBe(1);
      client.take();
      await harness.publish(ROOM);
      expect(seqs(client)).toHaveLength(1);
      await send(client, { type: 'unsubscribe', id: `v${time}`, channel: ROOM });
      await rest(1_000);
      expect(harness.engine.status.channels).toBe(0);
      expect(subscribed).toBe(time);
    }
  });

  it('a channel is subscribed at the broker again after each failure, and only then (G21)', async () => {
    await start();
    const { subscribe } = broker.log;
    let calls = 0;
    broker.log.subscribe = (name) => {
      calls++;
      return calls % 2 === 1 ? Promise.reject(new Error('away')) : subscribe(name);
    };
    const client = await harness.greet();
    client.take();
    for (const time of TIMES) {
      await send(client, { type: 'subscribe', id: `s${time}`, channel: `rooms.${time}` });
      expect(types(client)).toEqual(['error']);
      await send(client, { type: 'subscribe', id: `t${time}`, channel: `rooms.${time}` });
      expect(types(client)).toEqual(['reply']);
      expect(calls).toBe(2 * time);
    }
  });
});

describe('repeated gaps, replays and resets', () => {
  it('each overflow is announced, and none twice (P25)', async () => {
    await start({ policy: { overflow: 'drop-newest' } }, { outbox: { maxMessages: 4 } });
    const client = await harness.subscriber(ROOM);
    let tip = 0;
    for (const _time of TIMES) {
      client.stall();
      for (let index = 0; index < 8; index++) await harness.publish(ROOM);
      client.drain();
      await quiet();
      const got = client.take();
      expect(got.map(({ type }) => type)).toEqual([...Array.from({ length: 5 }, () => 'event'), 'gap']);
      expect(got.at(-1)?.payload).toMatchObject({ from: tip + 6, to: tip + 8 });
      tip += 8;
      await harness.publish(ROOM);
      expect(seqs(client)).toEqual([++tip]);
    }
  });

  it('each resume ends with one resumed, at its own position (P12)', async () => {
    await start();
    const client = await harness.greet();
    client.take();
    let position: Position = (await harness.engine.application.history(ROOM)).position;
    for (const time of TIMES) {
      await harness.publish(ROOM, 2);
      await send(client, { type: 'subscribe', id: `s${time}`, channel: ROOM, payload: { position } });
      const resumed = client.received.filter(({ type }) => type === 'resumed');
      expect(resumed.map(({ seq }) => seq)).toEqual(TIMES.slice(0, time).map((each) => 2 * each));
      expect(types(client)).toEqual(['reply', 'event', 'event', 'resumed']);
      await send(client, { type: 'unsubscribe', id: `u${time}`, channel: ROOM });
      client.take();
      position = { ...position, seq: 2 * time };
    }
  });

  it('a replay that is interrupted by another log does not end with the resumed of the first one (P10, P12)', async () => {
    await start();
    await harness.publish(ROOM, 20);
    const { position } = await harness.engine.application.history(ROOM, { limit: 1 });
    const client = await harness.greet();
    client.stall();
    await send(client, { type: 'ping', id: 'p' });
    await send(client, {
      type: 'subscribe',
      id: 's',
      channel: ROOM,
      payload: { position: { ...position, seq: 10 } },
    });
    await memory.clear(ROOM);
    await harness.publish(ROOM);
    client.take();
    client.drain();
    await quiet();
    expect(types(client)).toEqual(['pong', 'reply', 'reset']);
    await harness.publish(ROOM, 30);
    const [first, ...rest] = client.take();
    expect(first).toMatchObject({ type: 'event', seq: 2 });
    expect(rest.map(({ type }) => type)).toEqual(Array.from({ length: 29 }, () => 'event'));
  });

  it('each new epoch of the log causes one reset with a new snapshot (G6, P26)', async () => {
    let runs = 0;
    await start({ behaviour: { snapshot: { shareable: true, run: () => ({ state: ++runs }) } } });
    const client = await harness.subscriber(ROOM);
    for (const time of TIMES) {
      await harness.publish(ROOM, 2);
      expect(seqs(client)).toHaveLength(2);
      await memory.clear(ROOM);
      await harness.publish(ROOM);
      await quiet();
      const got = client.take();
      expect(got.filter(({ type }) => type === 'reset').map(({ payload }) => payload)).toEqual([
        expect.objectContaining({ recovery: 'lost', reason: 'epoch_changed', snapshot: time + 1 }),
      ]);
    }
  });

  it('a reset that fails is retried until it succeeds, and then sent once (G6, G21)', async () => {
    await start();
    const client = await harness.subscriber(ROOM);
    for (const time of TIMES) {
      let failures = time;
      await memory.clear(ROOM);
      // Only the plan of the reset asks for a single event.
      broker.onRead = (request, result) => {
        if (request.limit === 1 && failures-- > 0) throw new RealtimeError('unavailable');
        return result;
      };
      await harness.publish(ROOM);
      for (let attempt = 0; attempt < time; attempt++) {
        expect(client.take('reset')).toEqual([]);
        await rest(500);
      }
      expect(client.take('reset')).toHaveLength(1);
      broker.onRead = undefined;
      await harness.publish(ROOM);
      expect(seqs(client)).toHaveLength(1);
    }
    expect(client.closed).toBeUndefined();
  });

  it('each gap is read once, and each failed read is retried (G5)', async () => {
    await start();
    const client = await harness.subscriber(ROOM);
    let next = 1;
    for (const _time of TIMES) {
      const lost = next + 1;
      broker.mangle = (events) => [events.filter(({ seq }) => seq !== lost)];
      let failures = 1;
      broker.onRead = (_request, result) => {
        if (failures-- > 0) throw new Error('away');
        return result;
      };
      broker.reads.length = 0;
      await harness.publish(ROOM, 3);
      expect(seqs(client)).toEqual([next]);
      await rest(500);
      expect(seqs(client)).toEqual([next + 1, next + 2]);
      expect(broker.reads).toHaveLength(2);
      broker.onRead = undefined;
      next += 3;
    }
  });
});

describe('repeated changes of presence', () => {
  it('presence that does not fit is replaced by a diff without content each time (P25c)', async () => {
    await start({ policy: { presence: { graceMs: 0 } } }, { outbox: { maxMessages: 8 } });
    const slow = await harness.subscriber(ROOM, 'user:slow');
    for (const time of TIMES) {
      slow.stall();
      for (let index = 0; index < 20; index++) await harness.subscriber(ROOM, `user:u${time}-${index}`);
      slow.drain();
      await quiet();
      const diffs = slow.take('presence').map(({ payload }) => payload as PresenceDiff);
      const last = diffs.at(-1);
      expect(last?.version).toBe((await harness.engine.application.members(ROOM)).version);
      // Without content, and not behind the one before: the client sees that it missed something.
      expect(last).toMatchObject({ previous: last?.version, join: [], update: [], leave: [] });
      expect(diffs.at(-2)?.version).not.toBe(last?.version);
      // The client asks, and follows from there.
      await send(slow, { type: 'presence', id: `p${time}`, channel: ROOM });
      const [page] = slow.take('reply');
      const { version } = page?.payload as { version: number };
      const newcomer = await harness.subscriber(ROOM, `user:n${time}`);
      expect(slow.take('presence').map(({ payload }) => payload)).toEqual([
        expect.objectContaining({ previous: version, version: version + 1 }),
      ]);
      newcomer.drop();
    }
  });

  it('a device that comes and goes joins and leaves once each time (G19)', async () => {
    await start({ policy: { presence: { graceMs: 0 } } });
    const watcher = await harness.subscriber(ROOM, 'user:eve');
    for (const _time of TIMES) {
      const client = await harness.subscriber(ROOM, 'user:ada');
      client.drop();
      await quiet();
      const told = watcher.take('presence').map(({ payload }) => payload as PresenceDiff);
      expect(told.flatMap(({ join }) => join.map(({ id }) => id))).toEqual(['ada']);
      expect(told.flatMap(({ leave }) => leave)).toEqual(['ada']);
    }
  });

  it('data of a member is sent each time it changes, and not when it is the same (G19)', async () => {
    await start({ policy: { presence: {} } });
    const watcher = await harness.subscriber(ROOM, 'user:eve');
    const client = await harness.subscriber(ROOM, 'user:ada');
    watcher.take();
    for (const time of TIMES) {
      const update = { type: 'presence_update', channel: ROOM, payload: { data: { time } } };
      await send(client, { ...update, id: `d${time}` });
      await send(client, { ...update, id: `e${time}` });
      expect(client.take('reply')).toHaveLength(2);
      const told = watcher.take('presence').map(({ payload }) => payload as PresenceDiff);
      expect(told.flatMap(({ update: changed }) => changed.map(({ data }) => data))).toEqual([{ time }]);
    }
  });
});

describe('a membership that the broker lost', () => {
  it('a membership is restored with the latest data each time its lease is renewed (G19)', async () => {
    await start({ policy: { presence: {} } }, { presenceLeaseMs: 9_000 });
    const entries: PresenceEntry[] = [];
    const { enter } = broker.presence;
    Object.assign(broker.presence, {
      enter: (entry: PresenceEntry, leaseMs: number) => {
        entries.push(entry);
        return enter(entry, leaseMs);
      },
    });
    const client = await harness.greet('user:ada');
    const presence = { data: { time: 0 } };
    await send(client, { type: 'subscribe', id: 's', channel: ROOM, payload: { presence } });
    const [entry] = entries;
    if (entry === undefined) throw new Error('Nobody entered');
    for (const time of TIMES) {
      await send(client, {
        type: 'presence_update',
        id: `d${time}`,
        channel: ROOM,
        payload: { data: { time } },
      });
      await broker.presence.leave(entry, 0);
      expect((await harness.engine.application.members(ROOM)).count).toBe(0);
      await rest(3_000);
      expect((await harness.engine.application.members(ROOM)).members).toMatchObject([
        { id: 'ada', data: { time } },
      ]);
    }
  });
});

describe('repeated authorizations', () => {
  it('a lease is reauthorized each time it expires, until a refusal ends it (G11)', async () => {
    const asked: string[] = [];
    let verdict: AuthorizationResult = { forMs: 5_000 };
    await start({
      behaviour: { authorize: { subscribe: ({ user }) => (asked.push(user?.id ?? ''), verdict) } },
    });
    const client = await harness.subscriber(ROOM, 'user:ada');
    for (const time of TIMES) {
      await rest(4_900);
      expect(asked).toHaveLength(time);
      await rest(100);
      expect(asked).toHaveLength(time + 1);
      await harness.publish(ROOM);
      expect(seqs(client)).toHaveLength(1);
    }
    verdict = false;
    await rest(5_000);
    expect(client.take().map(({ type }) => type)).toEqual(['unsubscribed']);
    await rest(60_000);
    expect(asked).toHaveLength(5);
  });

  it('a lease is reauthorized for the user as the newest token has it (G11, G12)', async () => {
    const asked: unknown[] = [];
    const subscribe: AuthorizeHandler = ({ user }) => {
      asked.push(user?.['role']);
      return { forMs: 5_000 };
    };
    harness = await EngineHarness.start(
      [channel('rooms.:room', { behaviour: { authorize: { subscribe } } })],
      {
        authenticator: { authenticate: ({ token }) => ({ user: { id: 'ada', role: token } }) },
      },
    );
    const client = await harness.subscriber(ROOM, 'editor');
    await send(client, { type: 'auth', id: 'a', payload: { token: 'reader' } });
    await rest(5_000);
    expect(asked).toEqual(['editor', 'reader']);
  });

  it('a lease that becomes permanent is not reauthorized any more (G11)', async () => {
    let asked = 0;
    await start({
      behaviour: { authorize: { subscribe: () => (++asked === 1 ? { forMs: 5_000 } : true) } },
    });
    await harness.subscriber(ROOM, 'user:ada');
    await rest(5_000);
    expect(asked).toBe(2);
    await rest(60_000);
    expect(asked).toBe(2);
  });

  it('a permission that was revoked and granted again can be revoked again (G11)', async () => {
    await start({ behaviour: { authorize: { subscribe: () => true } } });
    const client = await harness.greet('user:ada');
    client.take();
    for (const time of TIMES) {
      await send(client, { type: 'subscribe', id: `s${time}`, channel: ROOM });
      expect(types(client)).toEqual(['reply']);
      await harness.engine.revoke('ada', time === 2 ? undefined : ROOM);
      await quiet();
      expect(types(client)).toEqual(['unsubscribed']);
    }
  });

  it('a ban refuses the user until `unban`, and a second ban does the same (G16)', async () => {
    await start();
    for (const _time of TIMES) {
      const client = await harness.greet('user:ada');
      expect(client.closed).toBeUndefined();
      await harness.engine.ban('ada');
      expect(client.closed?.code).toBe(4803);
      expect((await harness.greet('user:ada')).closed?.code).toBe(4803);
      await harness.engine.unban('ada');
    }
  });

  it('a temporary ban refuses the user until it ends, each time (G16)', async () => {
    await start();
    for (const _time of TIMES) {
      await harness.engine.ban('ada', { forMs: 1_000 });
      expect((await harness.greet('user:ada')).closed?.code).toBe(4803);
      await rest(1_000);
      const client = await harness.greet('user:ada');
      expect(client.closed).toBeUndefined();
      client.drop();
    }
  });
});

describe('repeated tokens', () => {
  it('a new token is requested before each expires, and the connection ends with the last (G12)', async () => {
    await start();
    const at = (ms: number): number => harness.clock.now() + ms;
    const client = await harness.greet(`user:ada:${at(60_000)}`);
    client.take();
    for (const time of TIMES) {
      await rest(29_000);
      expect(client.take('auth_required')).toEqual([]);
      await rest(2_000);
      expect(client.take('auth_required')).toHaveLength(1);
      await rest(5_000);
      expect(client.take('auth_required')).toEqual([]);
      await send(client, { type: 'auth', id: `a${time}`, payload: { token: `user:ada:${at(60_000)}` } });
      expect(client.take('reply')).toHaveLength(1);
    }
    await rest(61_000);
    expect(client.closed?.code).toBe(4008);
  });

  it('a token without an expiry removes the expiry of the one before, and the other way round (G12)', async () => {
    await start();
    const client = await harness.greet(`user:ada:${harness.clock.now() + 60_000}`);
    await send(client, { type: 'auth', id: 'a1', payload: { token: 'user:ada' } });
    await rest(600_000);
    expect(client.closed).toBeUndefined();
    client.take();
    const token = `user:ada:${harness.clock.now() + 10_000}`;
    await send(client, { type: 'auth', id: 'a2', payload: { token } });
    await rest(11_000);
    expect(client.take('auth_required')).toHaveLength(1);
    expect(client.closed?.code).toBe(4008);
  });
});

describe('a client that sends too much repeatedly', () => {
  it('the client is throttled each time, and read again after each pause (G16)', async () => {
    await start(
      {},
      {
        limits: { ratePerSecond: 10, burst: 10 },
        abuse: { throttleAfter: 1, closeAfter: 100, windowMs: 1e9 },
      },
    );
    const client = await harness.greet('user:ada');
    for (const time of TIMES) {
      for (let index = 0; index < 30 && !client.paused; index++)
        client.send({ type: 'ping', id: `p${time}-${index}` });
      expect(client.paused).toBe(true);
      await rest(1_000);
      expect(client.paused).toBe(false);
      expect(client.closed).toBeUndefined();
    }
  });

  it('the count of a client starts from zero in each window (G16)', async () => {
    await start(
      {},
      {
        limits: { ratePerSecond: 1, burst: 1 },
        abuse: { throttleAfter: 1e9, closeAfter: 4, windowMs: 10_000 },
      },
    );
    const client = await harness.greet('user:ada');
    for (const time of TIMES) {
      for (let index = 0; index < 4; index++) client.send({ type: 'ping', id: `p${time}-${index}` });
      expect(client.closed).toBeUndefined();
      await rest(10_000);
    }
    for (let index = 0; index < 5; index++) client.send({ type: 'ping', id: `q${index}` });
    expect(client.closed?.code).toBe(4807);
  });
});

describe('a repeated id', () => {
  it('an id is a duplicate whenever it is sent within its window, and new after each window (P15)', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        policy: { log: { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 10_000 } },
      }),
    ]);
    const client = await harness.greet('user:ada');
    client.take();
    const publish = { type: 'publish', id: 'same', channel: ROOM, event: 'said', payload: 1 };
    for (const time of TIMES) {
      for (const duplicate of [false, true, true]) {
        await send(client, publish);
        expect(client.take('reply')[0]?.payload).toMatchObject({ seq: time, duplicate });
      }
      await rest(9_999);
      client.send({ type: 'pong' });
      await send(client, publish);
      expect(client.take('reply')[0]?.payload).toMatchObject({ seq: time, duplicate: true });
      await rest(1);
    }
  });
});

describe('repeated heartbeats', () => {
  it('the server pings after each silence, and each answer counts (P8)', async () => {
    await start({}, { heartbeat: { intervalMs: 10_000, timeoutMs: 5_000 } });
    const client = await harness.greet();
    client.take();
    for (const _time of TIMES) {
      let waited = 0;
      while (client.take('ping').length === 0 && waited++ < 12) await rest(1_000);
      expect(waited).toBeLessThan(12);
      await rest(4_000);
      client.send({ type: 'pong' });
      await rest(2_000);
      expect(client.closed).toBeUndefined();
    }
    for (let second = 0; second < 20; second++) await rest(1_000);
    expect(client.closed?.code).toBe(4004);
  });
});

describe('repeated ends', () => {
  it('a session ends once, whatever ends it second', async () => {
    const closed: number[] = [];
    await start();
    harness.engine.addConnectionListener({
      opened: () => undefined,
      closed: (_c, code) => void closed.push(code),
    });
    const client = await harness.greet('user:ada');
    client.send({ type: 'bye', id: 'b' });
    client.handler.onClose(1006);
    client.handler.onClose(1000);
    await harness.engine.disconnect('ada');
    client.send({ type: 'ping', id: 'p' });
    client.handler.onDrain();
    await quiet();
    expect(closed).toEqual([1000]);
    expect(client.take('pong')).toEqual([]);
    expect(harness.engine.status.sessions).toBe(0);
  });

  it('a second drain closes newer connections, and a second stop returns the first (G18)', async () => {
    await start();
    const client = await harness.greet('user:ada');
    const drains = [harness.engine.drain(1_000), harness.engine.drain(1_000)];
    await harness.clock.advanceAsync(1_000);
    await Promise.all(drains);
    expect(client.closed?.code).toBe(4001);
    expect(harness.connect().closed?.code).toBe(4001);
    const third = harness.engine.drain(1_000);
    await harness.clock.advanceAsync(1_000);
    await third;
    expect(harness.engine.stop()).toBe(harness.engine.stop());
    await harness.engine.stop();
  });

  it('a removed listener is not called, and its remover may be called twice', async () => {
    const seen: string[] = [];
    await start();
    const listen = (name: string): (() => void) =>
      harness.engine.addConnectionListener({
        opened: () => void seen.push(`+${name}`),
        closed: () => void seen.push(`-${name}`),
      });
    const [removeFirst] = [listen('a'), listen('b')];
    removeFirst();
    removeFirst();
    const client = await harness.greet();
    client.drop();
    expect(seen).toEqual(['+b', '-b']);
  });
});

describe('a broker that goes down repeatedly', () => {
  it('each change of the broker is reported, and waiting work resumes each time it is up (G21)', async () => {
    await start();
    const client = await harness.subscriber(ROOM);
    let next = 1;
    for (const _time of TIMES) {
      broker.listener?.onState('down', 'a test');
      broker.listener?.onState('down', 'a test');
      expect(harness.engine.status.broker).toBe('down');
      let away = true;
      const lost = next;
      broker.mangle = (events) => [events.filter(({ seq }) => seq !== lost)];
      broker.onRead = (_request, result) => {
        if (away) throw new Error('away');
        return result;
      };
      await harness.publish(ROOM, 2);
      expect(seqs(client)).toEqual([]);
      away = false;
      broker.listener?.onState('up');
      await quiet();
      expect(harness.engine.status.broker).toBe('up');
      expect(seqs(client)).toEqual([next, next + 1]);
      next += 2;
    }
  });
});
