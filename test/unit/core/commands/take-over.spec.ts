import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { TicketSigner } from '../../../../lib/core/access/ticket.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const ticketOf = (connection: FakeConnection): string =>
  (connection.received.find(({ type }) => type === 'welcome')?.payload as { session: string }).session;

async function join(connection: FakeConnection): Promise<void> {
  connection.send({ type: 'subscribe', id: 'join', channel: 'rooms.1' });
  await quiet();
}

function rooms(hooks: string[], graceMs = 10_000) {
  return channel('rooms.:room', {
    policy: { presence: { graceMs } },
    behaviour: {
      onSubscribe: ({ user }) => void hooks.push(`+${user?.id ?? 'anonymous'}`),
      onUnsubscribe: ({ user }) => void hooks.push(`-${user?.id ?? 'anonymous'}`),
    },
  });
}

describe('takeover and presence', () => {
  it('closes the older generation with 4810, unnoticed by hooks and presence (P28)', async () => {
    const hooks: string[] = [];
    harness = await EngineHarness.start([rooms(hooks)]);
    const watcher = await harness.subscriber('rooms.1', 'user:eve');
    const older = await harness.greet('user:ada');
    await join(older);
    watcher.take();
    hooks.length = 0;

    const newer = await harness.greet('user:ada', ticketOf(older));
    expect(older.closed).toEqual({ code: 4810, reason: 'superseded|0' });
    await join(newer);
    harness.clock.advance(20_000);
    newer.send({ type: 'pong' });
    await quiet();
    expect(watcher.take('presence')).toEqual([]);
    expect(hooks).toEqual([]);
    expect(harness.engine.sessionsOf('ada')).toHaveLength(1);
    newer.send({ type: 'bye', id: 'b' });
    await quiet();
    expect(hooks).toEqual(['-ada']);
  });

  it('runs no unsubscribe hook for a channel that is being subscribed again when unclaimed channels end (P28)', async () => {
    const hooks: string[] = [];
    let answer: (allowed: boolean) => void = () => undefined;
    let waits = false;
    const { policy, behaviour } = rooms(hooks);
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          policy,
          behaviour: {
            ...behaviour,
            authorize: {
              subscribe: () => (waits ? new Promise<boolean>((resolve) => (answer = resolve)) : true),
            },
          },
        }),
      ],
      { settings: { retry: { stableMs: 1_000 } } },
    );
    const older = await harness.greet('user:ada');
    await join(older);
    const newer = await harness.greet('user:ada', ticketOf(older));
    hooks.length = 0;
    waits = true;
    await join(newer);
    harness.clock.advance(2_000);
    await quiet();
    answer(true);
    await quiet();
    expect(hooks).toEqual([]);
    expect(newer.received.some(({ type, ref }) => type === 'reply' && ref === 'join')).toBe(true);
  });

  it('gives the session to the later of two connections with one ticket, every time (P28)', async () => {
    harness = await EngineHarness.start([rooms([])]);
    const first = await harness.greet('user:ada');
    const ticket = ticketOf(first);
    const [second, third] = await Promise.all([
      harness.greet('user:ada', ticket),
      harness.greet('user:ada', ticket),
    ]);
    expect([first, second, third].map(({ closed }) => closed?.code)).toEqual([4810, 4810, undefined]);
    // A leave of the second that comes late is then not one of the third.
    const tickets = new TicketSigner('test-secret');
    const generations = [first, second, third].map((one) => tickets.read(ticketOf(one))?.generation);
    expect(generations).toEqual([1, 2, 3]);
  });

  it('takes over nothing with a ticket of another user or a forged one (P28)', async () => {
    harness = await EngineHarness.start([rooms([])]);
    const ada = await harness.greet('user:ada');
    const ticket = ticketOf(ada);
    const thief = await harness.greet('user:eve', ticket);
    const forger = await harness.greet('user:ada', `${ticket.slice(0, -2)}xx`);
    const anonymous = await harness.greet(undefined, ticket);
    for (const connection of [ada, thief, forger, anonymous]) expect(connection.closed).toBeUndefined();
  });

  it('does not make clients wait for the confirmation of a killed node (P28)', async () => {
    const killed = await EngineHarness.start([rooms([])], { settings: { nodeId: 'killed' } });
    const ticket = ticketOf(await killed.greet('user:ada'));
    await killed.stop();
    const broker = lossyBroker(memoryBroker());
    broker.bus.control = () => new Promise(() => undefined);
    harness = await EngineHarness.start([rooms([])], { broker });
    const back = await harness.greet('user:ada', ticket);
    expect(back.take('welcome')).toEqual([]);
    harness.clock.advance(200);
    await quiet();
    expect(back.take('welcome')).toHaveLength(1);
    expect(back.closed).toBeUndefined();
  });

  it('ends channels that the newer generation does not subscribe again together with it, once (P28)', async () => {
    const hooks: string[] = [];
    harness = await EngineHarness.start([rooms(hooks)]);
    const older = await harness.greet('user:ada');
    await join(older);
    const newer = await harness.greet('user:ada', ticketOf(older));
    newer.drop();
    await quiet();
    expect(hooks).toEqual(['+ada', '-ada']);
  });

  it('treats several devices as one member, a short disconnect as no leave, and ends with the last device after the grace period (G19)', async () => {
    harness = await EngineHarness.start([rooms([])], { settings: { heartbeat: { intervalMs: 3_600_000 } } });
    const watcher = await harness.subscriber('rooms.1', 'user:eve');
    const phone = await harness.subscriber('rooms.1', 'user:ada');
    const laptop = await harness.subscriber('rooms.1', 'user:ada');
    const members = async () =>
      (await harness.engine.application.members('rooms.1')).members.map(({ id, devices }) => [id, devices]);
    expect((await members()).sort()).toEqual([
      ['ada', 2],
      ['eve', 1],
    ]);
    const joins = watcher
      .take('presence')
      .flatMap(({ payload }) => (payload as { join: { id: string }[] }).join);
    expect(joins.map(({ id }) => id)).toEqual(['ada']);

    phone.drop();
    await quiet();
    harness.clock.advance(5_000);
    const back = await harness.greet('user:ada', ticketOf(phone));
    await join(back);
    harness.clock.advance(20_000);
    await quiet();
    const diffs = watcher
      .take('presence')
      .map(({ payload }) => payload as { join: unknown[]; leave: unknown[] });
    expect(diffs.flatMap(({ join: joined, leave }) => [...joined, ...leave])).toEqual([]);

    laptop.drop();
    back.drop();
    await quiet();
    harness.clock.advance(9_000);
    await quiet();
    expect((await members()).map(([id]) => id)).toContain('ada');
    harness.clock.advance(2_000);
    await quiet();
    const leaves = watcher.take('presence').flatMap(({ payload }) => (payload as { leave: string[] }).leave);
    expect(leaves).toEqual(['ada']);
    expect(await members()).toEqual([['eve', 1]]);
  });

  it('sends diffs that follow the version of the subscriber’s page one by one (G19)', async () => {
    harness = await EngineHarness.start([rooms([])]);
    const watcher = await harness.greet('user:watcher');
    await join(watcher);
    let version = (watcher.take('reply')[0]?.payload as { presence: { version: number } }).presence.version;
    for (const name of ['a', 'b', 'c', 'd']) {
      const member = await harness.subscriber('rooms.1', `user:${name}`);
      member.send({
        type: 'presence_update',
        id: 'pu',
        channel: 'rooms.1',
        payload: { data: { mood: name } },
      });
      await quiet();
      if (name === 'b') member.send({ type: 'bye', id: 'bye' });
      await quiet();
    }
    const diffs = watcher
      .take('presence')
      .map(({ payload }) => payload as { version: number; previous: number });
    expect(diffs.length).toBeGreaterThanOrEqual(9);
    for (const diff of diffs) {
      expect(diff.previous).toBe(version);
      version = diff.version;
    }
    const { members, version: tip } = await harness.engine.application.members('rooms.1');
    expect(tip).toBe(version);
    expect(members.find(({ id }) => id === 'c')?.data).toEqual({ mood: 'c' });
  });

  it('shows the client missing versions when a presence diff does not fit (P25)', async () => {
    harness = await EngineHarness.start([rooms([])], { settings: { outbox: { maxMessages: 8 } } });
    const slow = await harness.subscriber('rooms.1', 'user:slow');
    slow.stall();
    for (let index = 0; index < 20; index++) await harness.subscriber('rooms.1', `user:u${index}`);
    slow.drain();
    await quiet();
    const diffs = slow
      .take('presence')
      .map(({ payload }) => payload as { version: number; previous: number });
    const hole = diffs.some((diff, index) => index > 0 && diff.previous !== diffs[index - 1]?.version);
    expect(hole).toBe(true);
    expect(diffs.at(-1)?.version).toBe((await harness.engine.application.members('rooms.1')).version);
    expect(slow.closed).toBeUndefined();
  });

  it('delivers signals to subscribers without storing them, and drops them silently when a queue is full', async () => {
    harness = await EngineHarness.start([rooms([])], { settings: { outbox: { maxMessages: 8 } } });
    const slow = await harness.subscriber('rooms.1', 'user:slow');
    const quick = await harness.subscriber('rooms.1', 'user:quick');
    const typist = await harness.subscriber('rooms.1', 'user:ada');
    slow.stall();
    for (let index = 0; index < 20; index++) {
      typist.send({
        type: 'signal',
        id: `t${index}`,
        channel: 'rooms.1',
        event: 'typing',
        payload: { index },
      });
      await quiet();
    }
    expect(quick.take('signal')[0]).toMatchObject({ event: 'typing', user: 'ada', payload: { index: 0 } });
    slow.drain();
    await quiet();
    expect(slow.closed).toBeUndefined();
    expect(slow.take('signal').length).toBeLessThan(20);
    expect((await harness.engine.application.history('rooms.1')).events).toEqual([]);
  });
});
