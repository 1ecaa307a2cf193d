import { afterEach, describe, expect, it } from '@jest/globals';
import type { AuthorizationResult } from '../../../../lib/core/ports/channel-definition.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

// Everything that a session may have scheduled goes with it, however it ends. The clock stands still, so a timer that was
// forgotten is still there to be counted.
const HOUR_MS = 3_600_000;
/** Above the linger of the tests and one tick of the timer wheel; below everything that the tests schedule. */
const SETTLED_MS = 400;

let harness: EngineHarness;
let verdict: () => AuthorizationResult;
afterEach(() => harness.stop());

async function start(settings: SettingsPatch = {}): Promise<number> {
  verdict = () => true;
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', {
        policy: { presence: { graceMs: 5_000 } },
        behaviour: { authorize: { subscribe: () => verdict(), publish: 'public' } },
      }),
      channel('plain.:room', { behaviour: { authorize: { subscribe: () => verdict() } } }),
    ],
    { settings: { lingerMs: 100, ...settings } },
  );
  // What a broker keeps for a channel that was written, and sweeps, is there before and after.
  const first = await harness.subscriber('plain.1', 'user:first');
  await harness.engine.application.publish('plain.1', 'said', 'hi');
  first.send({ type: 'bye', id: 'b' });
  await rest(SETTLED_MS);
  return harness.clock.pending;
}

async function rest(ms: number): Promise<void> {
  harness.clock.advance(ms);
  await quiet();
}

const at = (ms: number): number => harness.clock.now() + ms;
const ticketOf = (connection: FakeConnection): string =>
  (connection.received.find(({ type }) => type === 'welcome')?.payload as { session: string }).session;

async function send(connection: FakeConnection, ...commands: readonly object[]): Promise<void> {
  connection.send(...commands);
  await quiet();
}

/** What a session may have scheduled. */
const scheduled: Readonly<Record<string, () => Promise<FakeConnection>>> = {
  'that never sent hello': async () => harness.connect(),
  'that is idle': () => harness.greet('user:ada'),
  'that was pinged and has not answered': async () => {
    const connection = await harness.greet('user:ada');
    await rest(30_000);
    expect(connection.take('ping')).toHaveLength(1);
    return connection;
  },
  'whose token ends in an hour': () => harness.greet(`user:ada:${at(HOUR_MS)}`),
  'that was asked for a fresh token': async () => {
    const connection = await harness.greet(`user:ada:${at(20_000)}`);
    await rest(11_000);
    expect(connection.take('auth_required')).toHaveLength(1);
    return connection;
  },
  'that sent fresh tokens twice': async () => {
    const connection = await harness.greet(`user:ada:${at(HOUR_MS)}`);
    for (const hours of [2, 3])
      await send(connection, {
        type: 'auth',
        id: `a${hours}`,
        payload: { token: `user:ada:${at(hours * HOUR_MS)}` },
      });
    expect(connection.take('reply')).toHaveLength(2);
    return connection;
  },
  'with a temporary authorization': async () => {
    verdict = () => ({ forMs: HOUR_MS });
    return await harness.subscriber('plain.1', 'user:ada');
  },
  'with an authorization that was renewed': async () => {
    verdict = () => ({ forMs: 5_000 });
    const connection = await harness.subscriber('plain.1', 'user:ada');
    verdict = () => ({ forMs: HOUR_MS });
    await rest(5_000);
    return connection;
  },
  'that is throttled': async () => {
    const connection = await harness.greet('user:ada');
    for (let index = 0; index < 12 && !connection.paused; index++)
      await send(connection, { type: 'ping', id: `p${index}` });
    expect(connection.paused).toBe(true);
    return connection;
  },
  'that took over channels and has not subscribed to them again': async () => {
    const older = await harness.subscriber('plain.1', 'user:ada');
    return await harness.greet('user:ada', ticketOf(older));
  },
  'that does not read': async () => {
    const connection = await harness.subscriber('plain.1', 'user:ada');
    connection.stall();
    await harness.publish('plain.1', 5);
    return connection;
  },
};

const SLOW: SettingsPatch = {
  limits: { ratePerSecond: 1, burst: 4 },
  abuse: { throttleAfter: 2, closeAfter: 100 },
};

const ends: Readonly<Record<string, (connection: FakeConnection) => unknown>> = {
  'loses its connection': (connection) => connection.drop(),
  'sends bye': (connection) => connection.send({ type: 'bye', id: 'bye' }),
  'breaks the protocol': (connection) => connection.sendRaw('{'),
  'is disconnected': () => harness.engine.disconnect('ada'),
  'is banned': () => harness.engine.ban('ada', { forMs: HOUR_MS }),
  drains: async () => {
    const drained = harness.engine.drain(1_000);
    await harness.clock.advanceAsync(1_000);
    await drained;
  },
};

describe.each(Object.keys(scheduled))('a session %s', (what) => {
  it.each(Object.keys(ends))('leaves no timer when it %s (G13)', async (end) => {
    const before = await start(what === 'that is throttled' ? SLOW : {});
    const connection = await scheduled[what]?.();
    if (connection === undefined) throw new Error('There is no such session');
    await ends[end]?.(connection);
    await quiet();
    if (connection.closed === undefined) {
      // One of no user, so that nobody could mean it, or one that is not listened to.
      expect(['that never sent hello', 'that is throttled']).toContain(what);
      connection.drop();
    }
    expect(harness.engine.status.sessions).toBe(0);
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it('leaves no timer when the engine stops (G18)', async () => {
    await start(what === 'that is throttled' ? SLOW : {});
    await scheduled[what]?.();
    await harness.stop();
    expect(harness.clock.pending).toBe(0);
  });
});

describe('a session that ends by itself', () => {
  it('leaves no timer when its token expires (G12)', async () => {
    const before = await start();
    const connection = await harness.greet(`user:ada:${at(5_000)}`);
    await rest(6_000);
    expect(connection.closed?.code).toBe(4008);
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it('leaves no timer when it does not answer a ping (P8)', async () => {
    const before = await start();
    const connection = await harness.greet('user:ada');
    await rest(40_000);
    expect(connection.closed?.code).toBe(4004);
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it('leaves no timer when no hello comes (P3)', async () => {
    const before = await start();
    const connection = harness.connect();
    await rest(11_000);
    expect(connection.closed?.code).toBe(4805);
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it.each([
    ['ping', (): string => 'user:ada'],
    ['request for a fresh token', (): string => `user:ada:${at(20_000)}`],
  ] as const)('leaves no timer when its own %s overflows the queue (G13)', async (_what, token) => {
    const before = await start({ outbox: { maxMessages: 4 } });
    const connection = await harness.greet(token());
    connection.stall();
    await harness.engine.application.signal('plain.1', 'typing', 1);
    await send(connection, { type: 'ping', id: 'held' });
    for (let index = 0; index < 4; index++) await send(connection, { type: 'ping', id: `p${index}` });
    expect(connection.closed).toBeUndefined();
    for (let second = 0; second < 60 && connection.closed === undefined; second++) await rest(1_000);
    expect(connection.closed?.code).toBe(4003);
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it('leaves no timer when its last channel is revoked (G11)', async () => {
    const before = await start();
    verdict = () => ({ forMs: 5_000 });
    const connection = await harness.subscriber('plain.1', 'user:ada');
    verdict = () => false;
    await rest(5_000);
    expect(connection.take('unsubscribed')).toHaveLength(1);
    connection.drop();
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it('leaves no timer when an authorization is repeated while it ends (G11)', async () => {
    const before = await start();
    verdict = () => ({ forMs: 5_000 });
    const connection = await harness.subscriber('plain.1', 'user:ada');
    let answer: (verdict: AuthorizationResult) => void = () => undefined;
    verdict = () => new Promise<AuthorizationResult>((resolve) => (answer = resolve)) as never;
    await rest(5_000);
    connection.drop();
    answer({ forMs: HOUR_MS });
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });

  it('leaves no timer when an authenticator answers after its end', async () => {
    let answer: () => void = () => undefined;
    const later = new Promise<object>((resolve) => {
      answer = () => resolve({ user: { id: 'ada' }, expiresAt: at(HOUR_MS) });
    });
    harness = await EngineHarness.start([], { authenticator: { authenticate: () => later } });
    const before = harness.clock.pending;
    const connection = harness.connect();
    await send(connection, { type: 'hello', id: 'h', payload: { versions: [1], token: 't' } });
    connection.drop();
    answer();
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
    expect(harness.engine.sessionsOf('ada')).toEqual([]);
  });

  it('leaves no timer when a token that it sent is accepted after its end (G12)', async () => {
    let answer: (() => void) | undefined;
    harness = await EngineHarness.start([], {
      authenticator: {
        authenticate: ({ via }) => {
          if (via !== 'auth') return { user: { id: 'ada' } };
          return new Promise((resolve) => {
            answer = () => resolve({ user: { id: 'ada' }, expiresAt: at(HOUR_MS) });
          });
        },
      },
    });
    const before = harness.clock.pending;
    const connection = await harness.greet('t');
    await send(connection, { type: 'auth', id: 'a', payload: { token: 'fresh' } });
    connection.drop();
    answer?.();
    await rest(SETTLED_MS);
    expect(harness.clock.pending).toBe(before);
  });
});

describe('members of a session that ended', () => {
  it.each([
    ['loses its connection', (connection: FakeConnection) => connection.drop()],
    ['sends bye', (connection: FakeConnection) => connection.send({ type: 'bye', id: 'b' })],
  ])('members leave no timer after their grace period when their connection %s (G19)', async (_end, end) => {
    const before = await start();
    const connection = await harness.subscriber('rooms.1', 'user:ada');
    end(connection);
    // The lease that was given is looked at once more.
    for (let round = 0; round < 8; round++) await rest(5_000);
    expect((await harness.engine.application.members('rooms.1')).count).toBe(0);
    expect(harness.clock.pending).toBe(before);
  });

  it('members leave no timer when the engine stops within the grace period (G18)', async () => {
    await start();
    const connection = await harness.subscriber('rooms.1', 'user:ada');
    connection.drop();
    await quiet();
    await harness.stop();
    expect(harness.clock.pending).toBe(0);
  });
});

describe('two engines on one clock', () => {
  it('two engines on one clock end only their own timers', async () => {
    const clock = new ManualClock();
    const other = await EngineHarness.start([channel('rooms.:room')], { clock });
    await other.subscriber('rooms.1', `user:ada:${clock.now() + HOUR_MS}`);
    const theirs = clock.pending;
    harness = await EngineHarness.start([channel('rooms.:room')], { clock });
    await harness.subscriber('rooms.1', `user:ada:${clock.now() + HOUR_MS}`);
    expect(clock.pending).toBeGreaterThan(theirs);
    await harness.stop();
    expect(clock.pending).toBe(theirs);
    await other.stop();
    expect(clock.pending).toBe(0);
  });
});
