import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ClusterReadings,
  MAX_READ_NODES,
  MAX_READINGS,
} from '../../../../lib/core/engine/cluster/cluster-readings.js';
import { MAX_NAMED_CHANNELS } from '../../../../lib/core/engine/cluster/session-details.js';
import { LocalChannels } from '../../../../lib/core/engine/cluster/local-channels.js';
import type { NodeQuestions } from '../../../../lib/core/engine/cluster/node-questions.js';
import { startCluster } from '../../../support/engine/cluster.js';
import { channel, type EngineHarness, quiet } from '../../../support/engine/harness.js';
import { type ManualClock } from '../../../support/engine/manual-clock.js';

describe('what an operator looks up in a cluster', () => {
  let clock: ManualClock;
  let nodes: EngineHarness[];
  let deaf: Set<string>;

  beforeEach(async () => {
    ({ clock, nodes, deaf } = await startCluster([channel('rooms.:room')]));
  });
  afterEach(() => Promise.all(nodes.map((node) => node.stop())));

  const at = (index: number): EngineHarness => nodes[index] as EngineHarness;
  async function come(index: number, ...rooms: string[]) {
    const connection = at(index).connect();
    connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'user:ada' } });
    await quiet();
    for (const room of rooms) connection.send({ type: 'subscribe', id: room, channel: room });
    await quiet();
    return connection;
  }
  async function unanswered<T>(asked: Promise<T>): Promise<T> {
    await clock.advanceAsync(1_999);
    await quiet();
    await clock.advanceAsync(1);
    return asked;
  }

  it('readings: each node answers with its own, as they are at that moment', async () => {
    let count = 0;
    at(1).engine.readings.serve(() => ({ sessions: ++count, 'closed:slow_consumer': 2 }));
    for (const sessions of [1, 2])
      expect(await at(0).engine.readings.list()).toEqual({
        nodes: [
          { node: 'node-0', readings: {} },
          { node: 'node-1', readings: { sessions, 'closed:slow_consumer': 2 } },
          { node: 'node-2', readings: {} },
        ],
        missing: [],
      });
    expect(at(1).engine.readings.local()).toMatchObject({
      nodes: [{ node: 'node-1', readings: { sessions: 3 } }],
    });
  });

  it('readings: a node that does not answer, or answers with something else, is missing', async () => {
    const wrong = [
      { sessions: 'many' },
      { sessions: Number.NaN },
      { ['x'.repeat(161)]: 1 },
      { 'a b': 1 },
      Object.fromEntries(Array.from({ length: MAX_READINGS + 1 }, (_, index) => [`n${index}`, 1])),
    ];
    for (const readings of wrong) {
      at(1).engine.readings.serve(() => readings as never);
      const { nodes: found, missing } = await at(0).engine.readings.list();
      expect([found.map(({ node }) => node), missing]).toEqual([['node-0', 'node-2'], ['node-1']]);
    }
    at(1).engine.readings.serve(() =>
      Object.fromEntries(Array.from({ length: MAX_READINGS }, (_, index) => [`n${index}`, 1])),
    );
    expect((await at(0).engine.readings.list()).missing).toEqual([]);
    deaf.add('node-2');
    expect((await unanswered(at(0).engine.readings.list())).missing).toEqual(['node-2']);
  });

  it('readings: more nodes than one answer has are named', async () => {
    const names = Array.from({ length: MAX_READ_NODES + 2 }, (_, index) => `n${index}`);
    let asked = 0;
    const questions = {
      serve: () => undefined,
      nodes: async () => Promise.resolve(names),
      ask: async (_kind: string, _body: unknown, { nodes: of }: { nodes: readonly string[] }) => {
        asked = of.length;
        return Promise.resolve({ byNode: new Map(of.map((node) => [node, {}])), missing: [] });
      },
    } as unknown as NodeQuestions;
    const { nodes: found, missing } = await new ClusterReadings(questions).list();
    expect([asked, found.length, missing]).toEqual([MAX_READ_NODES, MAX_READ_NODES, names.slice(-2)]);
  });

  it('the fullest channels: the subscribers of all nodes, the most first, as many as asked for', async () => {
    await come(0, 'rooms.1', 'rooms.2');
    await come(0, 'rooms.1');
    await come(1, 'rooms.3', 'rooms.2');
    await come(2, 'rooms.2');
    const left = await come(2, 'rooms.4');
    left.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.4' });
    await quiet();
    const short = async (limit: number) =>
      (await at(1).engine.busiest.list(limit)).channels.map(
        (found) => `${found.channel} ${found.subscribers}/${found.nodes}`,
      );
    expect(await short(9)).toEqual(['rooms.2 3/3', 'rooms.1 2/1', 'rooms.3 1/1']);
    expect(await short(1)).toEqual(['rooms.2 3/3']);
    deaf.add('node-2');
    const { channels, missing } = await unanswered(at(1).engine.busiest.list(2));
    expect([channels.map(({ subscribers }) => subscribers), missing]).toEqual([[2, 2], ['node-2']]);
  });

  it('the fullest channels: a node names as many as it is asked for', async () => {
    const channels = ['a', 'b', 'c', 'd'].map((name, index) => ({
      name,
      definition: channel('rooms.:room'),
      subscriptions: { size: index === 3 ? 2 : index + 1 },
    }));
    const local = new LocalChannels({ channels: () => channels } as never, { monotonic: () => 0 });
    const named = async (limit: number) => (await local.busiest(limit)).map(({ channel: name }) => name);
    expect(await named(2)).toEqual(['c', 'b']);
    expect(await named(9)).toEqual(['c', 'b', 'd', 'a']);
  });

  it('one session: not before it was greeted', async () => {
    const connection = at(1).connect();
    await quiet();
    const id = (connection.handler as unknown as { id: string }).id;
    expect(typeof id).toBe('string');
    expect(await at(0).engine.sessionDetails.find(id)).toEqual({ missing: [] });
  });

  it('one session: where it is, what waits for it, and how far behind it is in each channel', async () => {
    const connection = await come(2, 'rooms.1', 'rooms.2');
    const id = (await at(0).engine.sessions.list({}, { limit: 1 })).sessions[0]?.id as string;
    const found = async () => (await at(0).engine.sessionDetails.find(id)).session;
    expect(await found()).toMatchObject({
      id,
      user: 'ada',
      node: 'node-2',
      blocked: false,
      waitingBytes: 0,
      subscriptions: [
        { channel: 'rooms.1', behind: 0, live: true },
        { channel: 'rooms.2', behind: 0, live: true },
      ],
    });
    connection.stall();
    for (let number = 0; number < 3; number++)
      await at(0).engine.application.publish('rooms.1', 'said', 'x'.repeat(200));
    await quiet();
    const stalled = await found();
    expect(stalled).toMatchObject({ blocked: true });
    expect(stalled?.waitingBytes).toBeGreaterThan(600);
    connection.close(1001, '');
    await quiet();
    expect(await at(0).engine.sessionDetails.find(id)).toEqual({ missing: [] });
    deaf.add('node-1');
    expect(await unanswered(at(0).engine.sessionDetails.find('nobody'))).toEqual({ missing: ['node-1'] });
  });

  it('one session: of very many channels the first are named', async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    const limits = { maxChannels: 300, maxDistinctChannels: 300 };
    ({ clock, nodes, deaf } = await startCluster([channel('rooms.:room')], { limits }));
    const rooms = Array.from({ length: MAX_NAMED_CHANNELS + 1 }, (_, index) => `rooms.${index}`);
    const connection = await come(0);
    for (const room of rooms) {
      connection.send({ type: 'subscribe', id: room, channel: room });
      await clock.advanceAsync(1_000);
    }
    const id = (await at(1).engine.sessions.list({}, { limit: 1 })).sessions[0]?.id as string;
    const { session } = await at(1).engine.sessionDetails.find(id);
    expect([session?.channels, session?.subscriptions.length]).toEqual([rooms.length, MAX_NAMED_CHANNELS]);
  });
});
