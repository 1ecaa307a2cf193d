import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { BrokerTransitions } from '../../../../lib/core/ports/transitions.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const ROOM = 'rooms.1';
const LEASE_MS = 30_000;
const VACATED_AFTER_MS = 3_000;
const GRACE_MS = 5_000;

let clock: ManualClock;
let store: MemoryStore;
let nodes: EngineHarness[];
let consumer: BrokerTransitions;

async function node(index: number, channels: readonly string[] = ['rooms.:room']): Promise<EngineHarness> {
  return await EngineHarness.start(
    [
      channel('rooms.:room', { policy: { presence: { graceMs: GRACE_MS } } }),
      channel('quiet.:room', { policy: { presence: {} } }),
    ],
    {
      clock,
      seed: index + 1,
      broker: memoryBroker({ store }),
      holds: { channels, vacatedAfterMs: VACATED_AFTER_MS },
      settings: {
        nodeId: `node-${index}`,
        heartbeat: { intervalMs: 1e9 },
        presenceLeaseMs: LEASE_MS,
        // The consumer is no node that could be asked for connections of a user.
        limits: { maxConnectionsPerUser: 0 },
      },
    },
  );
}

/** What began and ended since the last call. */
async function transitions(): Promise<readonly string[]> {
  const taken = await consumer.take(100);
  await consumer.done(taken.map(({ id }) => id));
  return taken.map(
    ({ channel, member = '', held }) => `${held ? '+' : '-'}${channel}${member && `/${member}`}`,
  );
}

async function rest(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.advance(Math.min(left, 1_000));
    await quiet();
  }
}

beforeEach(async () => {
  clock = new ManualClock();
  store = new MemoryStore({ clock });
  nodes = [await node(0), await node(1)];
  const broker = memoryBroker({ store });
  await broker.start({
    onEvents: () => undefined,
    onSignal: () => undefined,
    onPresence: () => undefined,
    onControl: () => undefined,
    onControlCurrent: () => undefined,
    onControlLost: () => undefined,
    onState: () => undefined,
  });
  consumer = broker.transitions;
});
afterEach(() => Promise.all(nodes.map((each) => each.stop())));

function at(index: number): EngineHarness {
  return nodes[index] as EngineHarness;
}

describe('channels that are held in the cluster (G32)', () => {
  it('begin with the first subscriber of any node and end after the last one, after the grace', async () => {
    const first = await at(0).subscriber(ROOM);
    const second = await at(0).subscriber(ROOM);
    const third = await at(1).subscriber(ROOM);
    expect(await transitions()).toEqual([`+${ROOM}`]);
    first.drop();
    second.drop();
    await rest(VACATED_AFTER_MS + 1_000);
    expect(await transitions()).toEqual([]);
    third.drop();
    await rest(VACATED_AFTER_MS - 1_000);
    expect(await transitions()).toEqual([]);
    await rest(1_000);
    expect(await transitions()).toEqual([`-${ROOM}`]);
  });

  it('have no transition where a subscriber comes back within the grace, on the same node or another', async () => {
    const first = await at(0).subscriber(ROOM);
    first.drop();
    await rest(VACATED_AFTER_MS - 1_000);
    const again = await at(0).subscriber(ROOM);
    await rest(2 * VACATED_AFTER_MS);
    again.drop();
    await rest(VACATED_AFTER_MS - 1_000);
    await at(1).subscriber(ROOM);
    await rest(2 * VACATED_AFTER_MS);
    expect(await transitions()).toEqual([`+${ROOM}`]);
  });

  it('are held by plain unsubscribes as by lost connections, and only while somebody is subscribed', async () => {
    const connection = await at(0).subscriber(ROOM);
    connection.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
    await rest(VACATED_AFTER_MS);
    connection.send({ type: 'subscribe', id: 's', channel: ROOM });
    await quiet();
    expect(await transitions()).toEqual([`+${ROOM}`, `-${ROOM}`, `+${ROOM}`]);
  });

  it('stay held for as long as the node lives, and end with the lease of a node that was killed', async () => {
    const killed = await at(0).subscriber(ROOM);
    await rest(4 * LEASE_MS);
    expect(await transitions()).toEqual([`+${ROOM}`]);
    expect(killed.closed).toBeUndefined();
    await at(0).broker.close();
    await rest(LEASE_MS);
    expect(await transitions()).toEqual([`-${ROOM}`]);
  });

  it('end after the grace where the node is stopped in good order', async () => {
    await at(0).subscriber(ROOM);
    await at(0).stop();
    await rest(VACATED_AFTER_MS - 1_000);
    expect(await transitions()).toEqual([`+${ROOM}`]);
    await rest(1_000);
    expect(await transitions()).toEqual([`-${ROOM}`]);
  });

  it('are those of the policy only, by name or by pattern', async () => {
    nodes.push(await node(2, ['rooms.7', 'quiet.:any']));
    for (const name of ['rooms.7', 'rooms.8', 'quiet.1']) await at(2).subscriber(name);
    for (const name of ['quiet.2', 'rooms.9']) await at(0).subscriber(name);
    expect(await transitions()).toEqual(['+rooms.7', '+quiet.1', '+rooms.9']);
  });

  it('are refused at the start where the broker records no transitions', () => {
    const broker = alteredBroker(memoryBroker({ store }), { transitions: undefined });
    const holds = { channels: ['rooms.:room'], vacatedAfterMs: 0 };
    expect(() => new EngineHarness([], { broker, holds })).toThrow(
      'The broker records no transitions, which `holds` needs. Use another broker',
    );
  });
});

describe('members that are held in the cluster (G32)', () => {
  it('begin with the first device of a user and end with the last, whichever node has it', async () => {
    const phone = await at(0).subscriber(ROOM, 'user:u1');
    const laptop = await at(1).subscriber(ROOM, 'user:u1');
    await at(1).subscriber(ROOM, 'user:u2');
    expect(await transitions()).toEqual([`+${ROOM}/u1`, `+${ROOM}`, `+${ROOM}/u2`]);
    phone.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
    await rest(1_000);
    expect(await transitions()).toEqual([]);
    laptop.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
    await rest(1_000);
    expect(await transitions()).toEqual([`-${ROOM}/u1`]);
  });

  it('end after the grace of their presence where the connection was lost, and not where the device comes back', async () => {
    const lost = await at(0).subscriber(ROOM, 'user:u1');
    await at(1).subscriber(ROOM, 'user:u2');
    await transitions();
    lost.drop();
    await rest(GRACE_MS - 1_000);
    expect(await transitions()).toEqual([]);
    await rest(1_000);
    expect(await transitions()).toEqual([`-${ROOM}/u1`]);
  });

  it('are no anonymous clients, no watchers without presence, and none of other channels', async () => {
    await at(0).subscriber(ROOM);
    await at(0).subscriber('quiet.1', 'user:u1');
    const watcher = await at(0).greet('user:u2');
    watcher.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { presence: false } });
    await quiet();
    expect(await transitions()).toEqual([`+${ROOM}`]);
  });

  it('end with the lease of a node that was killed, and are renewed while it lives', async () => {
    await at(0).subscriber(ROOM, 'user:u1');
    await rest(4 * LEASE_MS);
    expect(await transitions()).toEqual([`+${ROOM}/u1`, `+${ROOM}`]);
    await at(0).broker.close();
    await rest(LEASE_MS);
    expect([...(await transitions())].sort()).toEqual([`-${ROOM}`, `-${ROOM}/u1`]);
  });
});
