import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { SnapshotHandler } from '../../../../lib/core/ports/channel-definition.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

// The application makes states of a channel while events of it are erased: first from its own store, then by `erase`.

const ROOM = 'rooms.1';
const OTHER = 'rooms.2';
const SECRET = 'secret';

let node: EngineHarness;
/** What the application's store has. */
let stored: string;
/** How often its handler was called. */
let calls: number;
/** Opens the handler's call that waits. */
let gates: (() => void)[];
let isGated: boolean;
let presenceGate: Promise<void> | undefined;

async function start(shareable: boolean): Promise<void> {
  [stored, calls, gates, isGated, presenceGate] = [SECRET, 0, [], false, undefined];
  const clock = new ManualClock();
  const broker = memoryBroker({ store: new MemoryStore({ clock }), controlTimeoutMs: 1_000 });
  const snapshot: SnapshotHandler = {
    shareable,
    async run() {
      calls++;
      const state = stored;
      if (isGated) await new Promise<void>((resolve) => gates.push(resolve));
      return { state };
    },
  };
  const members = broker.presence.members.bind(broker.presence);
  Object.assign(broker.presence, {
    members: async (...asked: Parameters<typeof members>) => {
      await presenceGate;
      return await members(...asked);
    },
  });
  node = await EngineHarness.start(
    [channel('rooms.:room', { behaviour: { snapshot }, policy: { presence: {} } })],
    {
      clock,
      broker,
      settings: { heartbeat: { intervalMs: 1e9 } },
    },
  );
  await node.engine.application.publish(ROOM, 'said', SECRET);
  await node.engine.application.publish(OTHER, 'said', SECRET);
}
afterEach(() => node.stop());

async function erase(from = ROOM): Promise<void> {
  if (from === ROOM) stored = 'clean';
  const erased = node.engine.erase(from, { seq: 1 });
  await quiet();
  await quiet();
  expect((await erased).missing).toEqual([]);
}

async function open(): Promise<void> {
  for (const gate of gates.splice(0)) gate();
  await quiet();
}

async function ask(client: FakeConnection, type: 'subscribe' | 'snapshot', presence = false): Promise<void> {
  const payload = type === 'snapshot' ? undefined : presence ? { presence: {} } : { presence: false };
  client.send({ type, id: type, channel: ROOM, payload });
  await quiet();
}

const sent = (client: FakeConnection): string => client.frames.map(String).join('');
const answers = (client: FakeConnection) =>
  client
    .take()
    .filter(({ type }) => ['reply', 'error', 'unsubscribed'].includes(type))
    .map(({ type, ref, payload }) => {
      const { snapshot, code, retryable } = payload as Record<string, unknown>;
      return { type, ref, ...(type === 'reply' ? { snapshot } : { code, retryable }) };
    });

describe('states of a channel of which events are erased (G29, P26)', () => {
  it.each([
    ['a subscribe', 'of its own', false],
    ['a subscribe', 'that others share', true],
    ['a snapshot', 'of its own', false],
    ['a snapshot', 'that others share', true],
  ])('%s whose handler was called before is given a new state, %s', async (kind, _, shareable) => {
    await start(shareable);
    const clients = [await node.greet(), await node.greet()];
    if (kind === 'a snapshot') {
      stored = 'first';
      for (const client of clients) await ask(client, 'subscribe');
      stored = SECRET;
    }
    for (const client of clients) client.take();
    isGated = true;
    for (const client of clients) await ask(client, kind === 'a snapshot' ? 'snapshot' : 'subscribe');
    const before = calls;
    expect(gates).toHaveLength(shareable ? 1 : 2);
    await erase();
    isGated = false;
    await open();
    for (const client of clients) {
      expect(sent(client)).not.toContain(SECRET);
      expect(answers(client)).toMatchObject([{ type: 'reply', snapshot: 'clean' }]);
    }
    expect(calls - before).toBe(shareable ? 1 : 2);
  });

  it('a subscriber that comes after the erasure does not share a state that was begun before', async () => {
    await start(true);
    const first = await node.greet();
    isGated = true;
    await ask(first, 'subscribe');
    await erase();
    const second = await node.greet();
    await ask(second, 'subscribe');
    expect(calls).toBe(2);
    isGated = false;
    await open();
    for (const client of [first, second])
      expect(answers(client).at(-1)).toMatchObject({ type: 'reply', snapshot: 'clean' });
  });

  it('nor does one that comes after an erasure that was repeated, which no notice announces', async () => {
    await start(true);
    await erase();
    stored = SECRET;
    const first = await node.greet();
    isGated = true;
    await ask(first, 'subscribe');
    await erase();
    const second = await node.greet();
    second.take();
    await ask(second, 'subscribe');
    expect(calls).toBe(2);
    isGated = false;
    await open();
    expect(answers(second)).toMatchObject([{ type: 'reply', snapshot: 'clean' }]);
  });

  it('a subscription whose answer waits stays when the erasure was in another channel', async () => {
    await start(false);
    const client = await node.greet();
    client.take();
    // The channel of the erasure is subscribed, and answered; the answer of the other one waits.
    client.send({ type: 'subscribe', id: 'other', channel: OTHER, payload: { presence: false } });
    await quiet();
    client.stall();
    await node.engine.application.publish(OTHER, 'said', 'x');
    await quiet();
    await ask(client, 'subscribe');
    await erase(OTHER);
    client.drain();
    await quiet();
    expect(answers(client)).toMatchObject([
      { type: 'reply', ref: 'other' },
      { type: 'reply', ref: 'subscribe', snapshot: SECRET },
    ]);
  });

  it('an erasure in another channel asks nobody again', async () => {
    await start(false);
    const client = await node.greet();
    client.take();
    isGated = true;
    await ask(client, 'subscribe');
    await erase(OTHER);
    await open();
    expect(answers(client)).toMatchObject([{ type: 'reply', snapshot: SECRET }]);
    expect(calls).toBe(1);
  });

  it('after three calls with an erasure in each the client is asked to come back', async () => {
    await start(false);
    const client = await node.greet();
    client.take();
    isGated = true;
    await ask(client, 'subscribe');
    for (let round = 0; round < 3; round++) {
      await erase();
      await open();
    }
    expect(calls).toBe(3);
    expect(answers(client)).toEqual([
      { type: 'error', ref: 'subscribe', code: 'unavailable', retryable: true },
    ]);
    isGated = false;
    await ask(client, 'subscribe');
    expect(answers(client)).toMatchObject([{ type: 'reply', snapshot: 'clean' }]);
  });

  it('a state that waits for the members is not sent when the erasure came before them', async () => {
    await start(false);
    const client = await node.greet();
    client.take();
    let show = (): void => undefined;
    presenceGate = new Promise((resolve) => (show = resolve));
    await ask(client, 'subscribe', true);
    expect(calls).toBe(1);
    await erase();
    show();
    await quiet();
    expect(sent(client)).not.toContain(SECRET);
    expect(answers(client)).toEqual([
      { type: 'error', ref: 'subscribe', code: 'unavailable', retryable: true },
    ]);
  });

  it('an answer of subscribe that waits for a slow client is taken back with its subscription', async () => {
    await start(false);
    const client = await node.greet();
    client.take();
    client.stall();
    // The socket has the first.
    client.send({ type: 'subscribe', id: 'other', channel: OTHER, payload: { presence: false } });
    await quiet();
    await ask(client, 'subscribe');
    expect(calls).toBe(2);
    const written = client.frames.length;
    await erase();
    client.drain();
    await quiet();
    const later = client.frames.slice(written).map(String).join('');
    expect(later).not.toContain(SECRET);
    expect(answers(client).filter(({ ref }) => ref !== 'other')).toEqual([
      { type: 'error', ref: 'subscribe', code: 'unavailable', retryable: true },
      { type: 'unsubscribed', ref: undefined, code: 'unavailable', retryable: true },
    ]);
    await ask(client, 'subscribe');
    expect(answers(client)).toMatchObject([{ type: 'reply', snapshot: 'clean' }]);
  });

  it('an answer of snapshot that waits for a slow client becomes an error, and the subscription stays', async () => {
    await start(false);
    const client = await node.greet();
    stored = 'first';
    await ask(client, 'subscribe');
    client.take();
    stored = SECRET;
    client.stall();
    await node.engine.application.publish(ROOM, 'said', 'x');
    await quiet();
    await ask(client, 'snapshot');
    await erase();
    client.drain();
    await quiet();
    expect(sent(client)).not.toContain(`"${SECRET}"`);
    expect(answers(client)).toEqual([
      { type: 'error', ref: 'snapshot', code: 'unavailable', retryable: true },
    ]);
    await ask(client, 'snapshot');
    expect(answers(client)).toMatchObject([{ type: 'reply', snapshot: 'clean' }]);
  });

  it('an answer that waits of another channel stays', async () => {
    await start(false);
    const client = await node.greet();
    client.take();
    client.stall();
    await ask(client, 'subscribe');
    client.send({ type: 'subscribe', id: 'other', channel: OTHER, payload: { presence: false } });
    await quiet();
    await erase();
    client.drain();
    await quiet();
    expect(answers(client).filter(({ ref }) => ref === 'other')).toMatchObject([{ type: 'reply' }]);
  });
});
