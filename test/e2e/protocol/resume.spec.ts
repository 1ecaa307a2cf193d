import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { Position } from '../../../lib/protocol/position.js';
import { lossyBroker } from '../../support/fault/lossy-broker.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

const CHANNELS = [
  wireChannel('rooms.:room', { publish: ['said'] }),
  wireChannel('short.:room', { log: { size: 5 } }),
  wireChannel('limited.:room', { policy: { replayLimit: 3 } }),
  wireChannel('live.:room', { log: { retain: false } }),
];

let cluster: WireCluster;
let left: WireServer;
let right: WireServer;
afterEach(() => cluster.close());

async function start(): Promise<void> {
  cluster = await startWireCluster(2, { channels: CHANNELS });
  [left, right] = cluster.nodes as [WireServer, WireServer];
}

const publish = async (channel: string, count: number): Promise<void> => {
  for (let index = 0; index < count; index++)
    await left.engine.application.publish(channel, 'said', `n${index}`);
};
const positionOf = (answer: Record<string, unknown>): Position => answer['position'] as Position;
const seqs = (events: readonly WireEnvelope[]) => events.map(({ seq }) => seq);

/** The events up to `resumed`, which must follow. */
async function replay(client: WireClient): Promise<{ events: WireEnvelope[]; resumed: WireEnvelope }> {
  const events: WireEnvelope[] = [];
  for (;;) {
    const envelope = await client.next();
    if (envelope.type === 'resumed') return { events, resumed: envelope };
    expect(envelope.type).toBe('event');
    events.push(envelope);
  }
}

describe('positions (P10)', () => {
  it('an empty channel has a position; seq starts at 1 and grows by one (P10, P11)', async () => {
    await start();
    const client = await left.connect('ada');
    const answer = await client.subscribe('rooms.1');
    expect(answer).toEqual({ position: { epoch: expect.any(String), seq: 0 }, recovery: 'new' });
    await publish('rooms.1', 3);
    const events = await client.nextAll(3, 'event');
    expect(seqs(events)).toEqual([1, 2, 3]);
    expect(events.every(({ epoch }) => epoch === positionOf(answer).epoch)).toBe(true);
  });

  it('a position inside the common prefix of two epochs is continued; a position behind it is lost (P10, G6)', async () => {
    await start();
    await publish('rooms.1', 5);
    const before = (await left.engine.application.history('rooms.1')).position;
    cluster.store.failOver('rooms.1', 3);
    await publish('rooms.1', 2);
    const after = (await left.engine.application.history('rooms.1')).position;
    expect(after).toMatchObject({ seq: 5 });
    expect(after.epoch).not.toBe(before.epoch);

    const inside = await right.connect('ada');
    expect(await inside.subscribe('rooms.1', { position: { epoch: before.epoch, seq: 2 } })).toEqual({
      position: after,
      recovery: 'complete',
    });
    const { events, resumed } = await replay(inside);
    expect(seqs(events)).toEqual([3, 4, 5]);
    // P10c: whoever resumes goes on under the new epoch.
    expect([...events, resumed].every(({ epoch }) => epoch === after.epoch)).toBe(true);

    const beyond = await right.connect('bob');
    expect(await beyond.subscribe('rooms.1', { position: { epoch: before.epoch, seq: 4 } })).toEqual({
      position: after,
      recovery: 'lost',
      reason: 'epoch_changed',
    });
  });

  it.each([
    ['of an unknown epoch', { epoch: 'never-was', seq: 2 }],
    ['beyond the tip', { seq: 6 }],
    ['far beyond the tip', { seq: Number.MAX_SAFE_INTEGER }],
  ])(
    'a position %s is lost with epoch_changed, and live events continue from the tip (P10b, P11)',
    async (_, position) => {
      await start();
      await publish('rooms.1', 5);
      const tip = (await left.engine.application.history('rooms.1')).position;
      const client = await right.connect('ada');
      expect(await client.subscribe('rooms.1', { position: { ...tip, ...position } })).toEqual({
        position: tip,
        recovery: 'lost',
        reason: 'epoch_changed',
      });
      await publish('rooms.1', 1);
      expect((await client.next('event')).seq).toBe(6);
    },
  );

  it('live subscribers on every node get reset before the first event of a new epoch (P10, G6)', async () => {
    await start();
    const clients = [await left.connect('ada'), await right.connect('bob')];
    for (const client of clients) await client.subscribe('rooms.1');
    await publish('rooms.1', 4);
    cluster.store.failOver('rooms.1', 4);
    await publish('rooms.1', 1);
    const { epoch } = (await left.engine.application.history('rooms.1')).position;
    for (const client of clients) {
      await client.nextAll(4, 'event');
      expect((await client.next('reset')).payload).toMatchObject({
        recovery: 'complete',
        position: { epoch },
      });
      expect(await client.next('event')).toMatchObject({ seq: 5, epoch });
    }
  });
});

describe('the answer to a resume and the replay (P11, P12)', () => {
  it('a complete resume on another node sends everything missed in order, then resumed, then live events (P11, P12, P13)', async () => {
    await start();
    const client = await left.connect('ada');
    const { position } = (await client.subscribe('rooms.1')) as { position: Position };
    client.terminate();
    await publish('rooms.1', 4);
    const back = await right.connect('ada');
    const tip = { ...position, seq: 4 };
    expect(await back.subscribe('rooms.1', { position })).toEqual({ position: tip, recovery: 'complete' });
    const { events, resumed } = await replay(back);
    expect(events.map(({ seq, payload }) => [seq, payload])).toEqual([
      [1, 'n0'],
      [2, 'n1'],
      [3, 'n2'],
      [4, 'n3'],
    ]);
    expect(resumed).toEqual({ type: 'resumed', channel: 'rooms.1', ...tip, ts: expect.any(Number) });
    await publish('rooms.1', 1);
    expect((await back.next('event')).seq).toBe(5);
  });

  it('resumed is sent even when nothing was missed (P12)', async () => {
    await start();
    await publish('rooms.1', 2);
    const position = (await left.engine.application.history('rooms.1')).position;
    const client = await left.connect('ada');
    expect(await client.subscribe('rooms.1', { position })).toEqual({ position, recovery: 'complete' });
    expect(await client.next('resumed')).toMatchObject(position);
    // At the start of an empty log, too.
    const empty = positionOf(await client.subscribe('rooms.2'));
    await client.call({ type: 'unsubscribe', channel: 'rooms.2' });
    expect(await client.subscribe('rooms.2', { position: empty })).toEqual({
      position: empty,
      recovery: 'complete',
    });
    expect(await client.next('resumed')).toMatchObject(empty);
  });

  it('a resume behind trimmed history is truncated: the newest part follows, and the answer names the range (P11)', async () => {
    await start();
    await publish('short.1', 1);
    const { epoch } = (await left.engine.application.history('short.1')).position;
    await publish('short.1', 11);
    const client = await right.connect('ada');
    expect(await client.subscribe('short.1', { position: { epoch, seq: 1 } })).toEqual({
      position: { epoch, seq: 12 },
      recovery: 'truncated',
      from: 8,
      to: 12,
      cause: 'trimmed',
    });
    const { events } = await replay(client);
    expect(seqs(events)).toEqual([8, 9, 10, 11, 12]);
  });

  it('a resume beyond the replay limit is truncated: the rest is readable by history (P11b)', async () => {
    await start();
    await publish('limited.1', 10);
    const { epoch } = (await left.engine.application.history('limited.1')).position;
    const client = await right.connect('ada');
    expect(await client.subscribe('limited.1', { position: { epoch, seq: 2 } })).toEqual({
      position: { epoch, seq: 10 },
      recovery: 'truncated',
      from: 8,
      to: 10,
      cause: 'limit',
    });
    const { events } = await replay(client);
    expect(seqs(events)).toEqual([8, 9, 10]);
    const rest = await client.reply({
      type: 'history',
      channel: 'limited.1',
      payload: { epoch, from: 3, until: 7 },
    });
    expect((rest['events'] as { seq: number }[]).map(({ seq }) => seq)).toEqual([3, 4, 5, 6, 7]);
  });

  it('a resume is lost with expired when nothing that was missed is stored (P11)', async () => {
    await start();
    await publish('rooms.1', 3);
    const { epoch } = (await left.engine.application.history('rooms.1')).position;
    // The log that was told to keep nothing counts on.
    await left.broker.log.appendMany([
      {
        channel: 'rooms.1',
        producer: 'test',
        fingerprint: '',
        event: { id: 'e1', event: 'said' },
        bytes: 50,
        policy: { retain: false, size: 0, maxBytes: 8_388_608, ttlMs: 0, dedupeMs: 0 },
      },
    ]);
    const client = await left.connect('ada');
    expect(await client.subscribe('rooms.1', { position: { epoch, seq: 1 } })).toEqual({
      position: { epoch, seq: 4 },
      recovery: 'lost',
      reason: 'expired',
    });
  });

  it('an event whose ttl expired is a gap of its seq in its place (P12c)', async () => {
    await start();
    const position = positionOf(await (await left.connect('eve')).subscribe('rooms.1'));
    await publish('rooms.1', 1);
    await left.engine.application.publish('rooms.1', 'said', 'stale', { ttl: 1 });
    await publish('rooms.1', 1);
    const stale = (await left.engine.application.history('rooms.1', { from: 2, limit: 1 })).position;
    expect(stale.seq).toBe(3);
    // The clock of the log has moved on by more than its ttl.
    const appendedAt = Date.now();
    while (Date.now() <= appendedAt + 2) await new Promise((resolve) => setImmediate(resolve));
    const client = await right.connect('ada');
    await client.subscribe('rooms.1', { position });
    expect((await client.next('event')).seq).toBe(1);
    expect(await client.next('gap')).toEqual({
      type: 'gap',
      channel: 'rooms.1',
      epoch: position.epoch,
      payload: { from: 2, to: 2, reason: 'expired', recoverable: false },
    });
    expect((await client.next('event')).seq).toBe(3);
    expect((await client.next('resumed')).seq).toBe(3);
  });

  it('resumed is sent although the log was ahead of the node at the subscribe (P12)', async () => {
    const broker = lossyBroker(memoryBroker());
    const server = await startWireServer({ channels: CHANNELS, broker, settings: { ringSize: 4 } });
    try {
      const watcher = await server.connect('eve');
      const { position } = (await watcher.subscribe('rooms.1')) as { position: Position };
      for (let index = 0; index < 128; index++)
        await server.engine.application.publish('rooms.1', 'said', index);
      await watcher.take({ type: 'event', seq: 128 });
      // The last two are on their way to the node for a long time.
      broker.mangle = () => [];
      await server.engine.application.publish('rooms.1', 'said', 128);
      await server.engine.application.publish('rooms.1', 'said', 129);
      const client = await server.connect('ada');
      expect(await client.subscribe('rooms.1', { position })).toEqual({
        position: { ...position, seq: 130 },
        recovery: 'complete',
      });
      const { events, resumed } = await replay(client);
      expect(seqs(events)).toEqual(Array.from({ length: 130 }, (_, index) => index + 1));
      expect(resumed.seq).toBe(130);
      broker.mangle = undefined;
      await server.engine.application.publish('rooms.1', 'said', 130);
      expect((await client.next('event')).seq).toBe(131);
    } finally {
      await server.close();
    }
  });
});

describe('independence of a resume from earlier connections (P13)', () => {
  it('a resume works after the old node is gone, repeatedly and on any node (P13, G1)', async () => {
    await start();
    const client = await left.connect('ada');
    const { position } = (await client.subscribe('rooms.1')) as { position: Position };
    await publish('rooms.1', 3);
    await left.close();
    const later = await cluster.start();
    for (const node of [right, later, right]) {
      const back = await node.connect('ada');
      expect(await back.subscribe('rooms.1', { position })).toMatchObject({ recovery: 'complete' });
      const { events } = await replay(back);
      expect(seqs(events)).toEqual([1, 2, 3]);
      await back.close();
    }
  });

  it('a resume needs no ticket and no earlier subscription (P13)', async () => {
    await start();
    await publish('rooms.1', 2);
    const { epoch } = (await left.engine.application.history('rooms.1')).position;
    const stranger = await right.connect('eve');
    await stranger.subscribe('rooms.1', { position: { epoch, seq: 0 } });
    expect(seqs((await replay(stranger)).events)).toEqual([1, 2]);
  });

  it('each resume is authorized before anything of the log is sent (P13, P11c, G10)', async () => {
    let allowed = true;
    const guarded = wireChannel('guarded.:room', { behaviour: { authorize: { subscribe: () => allowed } } });
    cluster = await startWireCluster(1, { channels: [guarded] });
    [left] = cluster.nodes as [WireServer];
    const client = await left.connect('ada');
    const { position } = (await client.subscribe('guarded.1')) as { position: Position };
    client.terminate();
    await publish('guarded.1', 3);
    allowed = false;
    const back = await left.connect('ada');
    expect((await back.error({ type: 'subscribe', channel: 'guarded.1', payload: { position } })).code).toBe(
      'forbidden',
    );
    await publish('guarded.1', 1);
    await back.call({ type: 'ping' });
    expect(back.pending).toEqual([]);
  });
});

describe('snapshots (P26)', () => {
  const state = (run: () => unknown) =>
    wireChannel('docs.:doc', {
      behaviour: { snapshot: { shareable: false, run: async () => (await run()) as { state: unknown } } },
    });

  it('the tip is read before the snapshot handler runs: events appended during it follow (P26)', async () => {
    let runs = 0;
    const docs = state(async () => {
      runs++;
      await publish('docs.1', 2);
      return { state: { runs } };
    });
    cluster = await startWireCluster(1, { channels: [docs] });
    [left] = cluster.nodes as [WireServer];
    await publish('docs.1', 1);
    const client = await left.connect('ada');
    const answer = await client.subscribe('docs.1');
    expect(answer).toEqual({
      position: { epoch: expect.any(String), seq: 1 },
      recovery: 'new',
      snapshot: { runs: 1 },
    });
    // P26c: without `resumed`.
    expect(seqs(await client.nextAll(2, 'event'))).toEqual([2, 3]);
    await client.call({ type: 'ping' });
    expect(client.pending).toEqual([]);
  });

  it('a snapshot comes with new and lost, not with complete, and only if it is wanted (P26)', async () => {
    const docs = state(() => ({ state: 'fresh' }));
    cluster = await startWireCluster(1, { channels: [docs] });
    [left] = cluster.nodes as [WireServer];
    const client = await left.connect('ada');
    const ask = async (payload: Record<string, unknown>) => {
      const answer = await client.subscribe('docs.1', payload);
      await client.call({ type: 'unsubscribe', channel: 'docs.1' });
      return answer;
    };
    const { position } = (await ask({})) as { position: Position };
    expect(await ask({})).toMatchObject({ recovery: 'new', snapshot: 'fresh' });
    expect(await ask({ position: { epoch: 'other', seq: 0 } })).toMatchObject({
      recovery: 'lost',
      snapshot: 'fresh',
    });
    expect(await ask({ position })).toEqual({ position, recovery: 'complete' });
    expect(await ask({ snapshot: false })).toEqual({ position, recovery: 'new' });
  });

  it('the replay starts at the position that the snapshot handler states (P26a)', async () => {
    let stated: Position | undefined;
    const docs = state(() => ({ state: 'old', position: stated }));
    cluster = await startWireCluster(1, { channels: [docs] });
    [left] = cluster.nodes as [WireServer];
    await publish('docs.1', 5);
    const { epoch } = (await left.engine.application.history('docs.1')).position;
    stated = { epoch, seq: 2 };
    const client = await left.connect('ada');
    expect(await client.subscribe('docs.1')).toEqual({ position: stated, recovery: 'new', snapshot: 'old' });
    expect(seqs(await client.nextAll(3, 'event'))).toEqual([3, 4, 5]);
    // One that the log cannot go on from is not passed on.
    stated = { epoch: 'other', seq: 2 };
    const other = await left.connect('bob');
    expect(await other.error({ type: 'subscribe', channel: 'docs.1' })).toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
  });
});

describe('channels without retention (P27)', () => {
  it('a resume without retention is complete at the tip, else lost with not_retained; history is empty; seq continues (P27)', async () => {
    await start();
    const client = await left.connect('ada');
    await client.subscribe('live.1');
    await publish('live.1', 3);
    expect(seqs(await client.nextAll(3, 'event'))).toEqual([1, 2, 3]);
    const tip = (await left.engine.application.history('live.1')).position;
    const back = await right.connect('ada');
    expect(await back.subscribe('live.1', { position: tip })).toEqual({
      position: tip,
      recovery: 'complete',
    });
    expect((await back.next('resumed')).seq).toBe(3);
    const late = await right.connect('bob');
    expect(await late.subscribe('live.1', { position: { ...tip, seq: 2 } })).toEqual({
      position: tip,
      recovery: 'lost',
      reason: 'not_retained',
    });
    expect(await late.reply({ type: 'history', channel: 'live.1' })).toEqual({
      events: [],
      position: tip,
      more: false,
    });
    await publish('live.1', 1);
    expect((await late.next('event')).seq).toBe(4);
  });
});
