import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { AuthorizationResult } from '../../../../lib/core/ports/channel-definition.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import type { Position } from '../../../../lib/protocol/position.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

// A subscribe takes several steps, and each may fail, or be overtaken by the end of the session. Whatever the earlier ones
// took must be given back: interest in the channel, the membership, timers, the place among the connection's channels.
const ROOM = 'rooms.1';
const GRACE_MS = 5_000;

let harness: EngineHarness;
afterEach(() => harness.stop());

type Step = 'authorize' | 'subscribe' | 'read' | 'snapshot' | 'enter' | 'members';

/** An engine whose subscribes can be made to fail, or to wait, at each of their steps. */
class World {
  /** One for the engine and its broker, so that the timers of both are counted. */
  private readonly clock = new ManualClock();
  readonly broker = lossyBroker(memoryBroker({ clock: this.clock }));
  readonly hooks: string[] = [];
  /** Channels that the broker has been asked for and not been told to give up. */
  readonly interest = new Set<string>();
  /** Run in place of a step; `undefined` lets it be. */
  readonly instead = new Map<Step, (work: () => unknown) => unknown>();

  async start(settings: SettingsPatch = {}): Promise<void> {
    const { broker } = this;
    const { subscribe, unsubscribe, read } = broker.log;
    const { enter, members } = broker.presence;
    broker.log.subscribe = (name) =>
      this.run('subscribe', async () => {
        const tip = await subscribe(name);
        this.interest.add(name);
        return tip;
      });
    broker.log.unsubscribe = async (name) => {
      await unsubscribe(name);
      this.interest.delete(name);
    };
    broker.log.read = (request) => this.run('read', () => read(request));
    Object.assign(broker.presence, {
      enter: (...args: Parameters<typeof enter>) => this.run('enter', () => enter(...args)),
      members: (...args: Parameters<typeof members>) => this.run('members', () => members(...args)),
    });
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          policy: { presence: { graceMs: GRACE_MS } },
          behaviour: {
            authorize: {
              subscribe: () =>
                this.run('authorize', (): MaybePromise<AuthorizationResult> => ({ forMs: 3_600_000 })),
            },
            snapshot: { shareable: true, run: () => this.run('snapshot', () => ({ state: 'state' })) },
            onSubscribe: ({ user }) => void this.hooks.push(`+${user?.id}`),
            onUnsubscribe: ({ user }) => void this.hooks.push(`-${user?.id}`),
          },
        }),
      ],
      {
        broker,
        clock: this.clock,
        settings: { heartbeat: { intervalMs: 1e9 }, limits: { maxChannels: 1 }, ...settings },
      },
    );
  }

  private run<T>(step: Step, work: () => T): T {
    const instead = this.instead.get(step);
    return instead === undefined ? work() : (instead(work) as T);
  }
}

/** Long enough for every timer that may run out by itself. */
async function rest(): Promise<void> {
  for (let second = 0; second < 60; second += 5) {
    harness.clock.advance(5_000);
    await quiet();
  }
}

/** Subscribes and leaves once, so that what a channel costs for good is there; then counts the timers. */
async function baseline(connection: FakeConnection): Promise<number> {
  connection.send({ type: 'subscribe', id: 'first', channel: ROOM });
  await quiet();
  connection.send({ type: 'unsubscribe', id: 'left', channel: ROOM });
  await rest();
  connection.take();
  return harness.clock.pending;
}

/** A position of an epoch that the log does not know: it must be proved, and the snapshot is asked for. */
async function strangePosition(): Promise<Position> {
  const { position } = await harness.engine.application.history(ROOM);
  return { ...position, epoch: `not ${position.epoch}` };
}

async function subscribeFrom(connection: FakeConnection, position: Position): Promise<void> {
  connection.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position } });
  await quiet();
}

const answersTo = (connection: FakeConnection, id: string): unknown[] =>
  connection.received
    .filter(({ ref }) => ref === id)
    .map(({ type, payload }) => (type === 'error' ? (payload as { code: string }).code : type));

const away = (): Promise<never> => Promise.reject(new RealtimeError('unavailable'));

const failures: Readonly<Record<string, readonly [Step, (work: () => unknown) => unknown, string]>> = {
  'the authorization refuses': ['authorize', () => false, 'forbidden'],
  'the authorization refuses later': ['authorize', async () => false, 'forbidden'],
  'the broker cannot subscribe to the channel': ['subscribe', away, 'unavailable'],
  'the position cannot be proved': ['read', away, 'unavailable'],
  'the snapshot throws': [
    'snapshot',
    () => {
      throw new RealtimeError('muted');
    },
    'muted',
  ],
  'the snapshot rejects': ['snapshot', async () => Promise.reject(new RealtimeError('muted')), 'muted'],
  'the authorization fails': ['authorize', () => Promise.reject(new Error('no database')), 'unavailable'],
  'the snapshot is not serializable': ['snapshot', () => ({ state: 10n }), 'unavailable'],
  'the snapshot states a position that is not in the log': [
    'snapshot',
    () => ({ state: 1, position: { epoch: 'none', seq: 7 } }),
    'unavailable',
  ],
  'the member cannot enter': ['enter', away, 'unavailable'],
  'the member entered but the answer was lost': [
    'enter',
    async (work) => {
      await work();
      throw new RealtimeError('timeout');
    },
    'timeout',
  ],
  'the members cannot be read': ['members', away, 'unavailable'],
  'the user is revoked from every channel during it': [
    'snapshot',
    async (work) => {
      await harness.engine.revoke('ada');
      return work();
    },
    'forbidden',
  ],
  'the user is revoked during it': [
    'snapshot',
    async (work) => {
      await harness.engine.revoke('ada', ROOM);
      return work();
    },
    'forbidden',
  ],
};

describe.each(Object.keys(failures))('a subscribe that fails because %s', (what) => {
  const [step, instead, code] = failures[what] as (typeof failures)[string];

  it('the subscribe is answered once, and leaves no interest, member, timer or used limit behind (G10, G13, G19)', async () => {
    const world = new World();
    await world.start();
    const connection = await harness.greet('user:ada');
    const timers = await baseline(connection);
    world.hooks.length = 0;
    const position = await strangePosition();
    world.instead.set(step, instead);
    await subscribeFrom(connection, position);
    world.instead.clear();
    expect(answersTo(connection, 's')).toEqual([code]);
    expect((await harness.engine.application.members(ROOM)).members).toEqual([]);
    expect(harness.engine.sessionsOf('ada')[0]?.channels).toEqual([]);
    await rest();
    expect(harness.engine.status.channels).toBe(0);
    expect([...world.interest]).toEqual([]);
    expect(harness.clock.pending).toBe(timers);
    expect(world.hooks).toEqual([]);
    expect(connection.closed).toBeUndefined();

    // The one place that the connection has is free again, for this channel as for another.
    connection.send({ type: 'subscribe', id: 'again', channel: ROOM });
    await quiet();
    expect(answersTo(connection, 'again')).toEqual(['reply']);
    expect(world.hooks).toEqual(['+ada']);
    expect((await harness.engine.application.members(ROOM)).count).toBe(1);
    connection.send(
      { type: 'unsubscribe', id: 'u', channel: ROOM },
      { type: 'subscribe', id: 'o', channel: 'rooms.2' },
    );
    await quiet();
    expect(answersTo(connection, 'o')).toEqual(['reply']);
  });
});

describe('a subscribe whose snapshot never ends', () => {
  it('the subscribe is answered with timeout, and leaves nothing behind', async () => {
    const world = new World();
    await world.start();
    const connection = await harness.greet('user:ada');
    const timers = await baseline(connection);
    world.instead.set('snapshot', () => new Promise(() => undefined));
    await subscribeFrom(connection, await strangePosition());
    expect(answersTo(connection, 's')).toEqual([]);
    harness.clock.advance(10_000);
    await quiet();
    expect(answersTo(connection, 's')).toEqual(['timeout']);
    await rest();
    expect(harness.engine.status.channels).toBe(0);
    expect(harness.clock.pending).toBe(timers);
  });
});

const STEPS: readonly Step[] = ['authorize', 'subscribe', 'read', 'snapshot', 'enter', 'members'];

/** Stops a subscribe before or behind one of its steps, until the test lets it go on. */
function hold(world: World, step: Step, side: 'before' | 'behind'): () => void {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  world.instead.set(step, async (work) => {
    if (side === 'before') await gate;
    const done = await work();
    await gate;
    return done;
  });
  return () => {
    world.instead.clear();
    release();
  };
}

describe.each(STEPS)('a subscribe that waits for its step %s', (step) => {
  async function waiting(
    world: World,
    connection: FakeConnection,
    side: 'before' | 'behind',
  ): Promise<() => void> {
    const position = await strangePosition();
    const release = hold(world, step, side);
    await subscribeFrom(connection, position);
    expect(answersTo(connection, 's')).toEqual([]);
    return release;
  }

  it.each([
    ['before', 'drop'],
    ['behind', 'drop'],
    ['before', 'bye'],
    ['behind', 'bye'],
  ] as const)(
    'a subscribe leaves nothing behind when its session ends (%s it, by %s; G13, G19)',
    async (side, end) => {
      const world = new World();
      await world.start();
      const watcher = await harness.greet('user:eve');
      const connection = await harness.greet('user:ada');
      await baseline(connection);
      const timers = harness.clock.pending;
      world.hooks.length = 0;
      const release = await waiting(world, connection, side);
      if (end === 'drop') connection.drop();
      else connection.send({ type: 'bye', id: 'b' });
      await quiet();
      release();
      await quiet();
      expect(answersTo(connection, 's')).toEqual([]);
      // Who leaves on purpose is gone at once; who was cut off has its grace.
      if (end === 'bye') expect((await harness.engine.application.members(ROOM)).count).toBe(0);
      await rest();
      expect((await harness.engine.application.members(ROOM)).count).toBe(0);
      expect(harness.engine.status).toMatchObject({ channels: 0, sessions: 1 });
      expect([...world.interest]).toEqual([]);
      expect(world.hooks).toEqual([]);
      expect(harness.clock.pending).toBe(timers);
      expect(watcher.closed).toBeUndefined();
      expect(harness.errors).toEqual([]);
    },
  );

  it.each(['before', 'behind'] as const)(
    'a cancelled subscribe leaves nothing behind, and frees its place for the next (%s it; P24)',
    async (side) => {
      const world = new World();
      await world.start();
      const connection = await harness.greet('user:ada');
      const timers = await baseline(connection);
      world.hooks.length = 0;
      const release = await waiting(world, connection, side);
      connection.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
      await quiet();
      expect(answersTo(connection, 'u')).toEqual(['reply']);
      release();
      await quiet();
      expect(answersTo(connection, 's')).toEqual(['not_subscribed']);
      expect((await harness.engine.application.members(ROOM)).count).toBe(0);
      await rest();
      expect(harness.engine.status.channels).toBe(0);
      expect(harness.clock.pending).toBe(timers);
      expect(world.hooks).toEqual([]);
      connection.send({ type: 'subscribe', id: 'again', channel: ROOM });
      await quiet();
      expect(answersTo(connection, 'again')).toEqual(['reply']);
    },
  );

  it.each(['before', 'behind'] as const)(
    'a subscribe leaves no timer when the engine stops (%s it; G18)',
    async (side) => {
      const world = new World();
      await world.start();
      const connection = await harness.greet('user:ada');
      await baseline(connection);
      const release = await waiting(world, connection, side);
      await harness.stop();
      release();
      await quiet();
      expect(harness.clock.pending).toBe(0);
      expect(world.hooks).toEqual(['+ada', '-ada']);
    },
  );
});
