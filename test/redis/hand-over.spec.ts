import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PresenceDiff } from '../../lib/protocol/messages.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireClient } from '../support/wire/client.js';
import { RedisKit } from './kit.js';
import { startRedisNodes, type RedisNodes } from './nodes.js';

const GRACE_MS = stretched(500);

describe('members of a node that drains and ends (G18, G19)', () => {
  let kit: RedisKit;
  let cluster: RedisNodes | undefined;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(async () => {
    await cluster?.close();
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  const join = (client: WireClient, data: string) =>
    client.call({ type: 'subscribe', channel: 'rooms.1', payload: { presence: { data } } });
  it('those who come back to another node in time have not left, the others leave after the grace, and not with their leases', async () => {
    cluster = await startRedisNodes(kit, 2, {
      channels: [wireChannel('rooms.:room', { presence: { graceMs: GRACE_MS } })],
      // Long: who leaves before it has ended was handed over.
      settings: { presenceLeaseMs: 600_000 },
    });
    const [leaving, staying] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];
    const watcher = await staying.connect('watcher');
    await join(watcher, 'w');
    const back = await leaving.connect('back');
    const gone = await leaving.connect('gone');
    for (const [client, name] of [
      [back, 'back'],
      [gone, 'gone'],
    ] as const)
      await join(client, name);
    await watcher.take({ type: 'presence' });
    const ticket = back.welcome?.session ?? '';
    await leaving.engine.drain(patience(2_000));
    const again = await staying.open();
    await again.hello('back', { session: ticket });
    await join(again, 'back');
    await leaving.engine.stop();
    const left = () =>
      watcher.pending
        .filter(({ type }) => type === 'presence')
        .flatMap(({ payload }) => (payload as { leave: readonly string[] }).leave);
    await until('the one who is gone to leave', () => left().includes('gone'));
    await elapse(GRACE_MS);
    expect(left()).toEqual(['gone']);
    // Who came back has not joined a second time either: nobody who watches sees more of the deploy than one who left.
    const joined = watcher.received
      .filter(({ type }) => type === 'presence')
      .flatMap(({ payload }) => (payload as unknown as PresenceDiff).join.map(({ id }) => id));
    expect(joined.sort()).toEqual(['back', 'gone']);
  });
});
