import { afterEach, describe, expect, it } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import type { OverflowPolicy } from '../../../lib/core/ports/channel-definition.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { WirePeer } from '../../support/wire/peer.js';
import type { WireServer } from '../../support/wire/server.js';
import { sessionOf, stall } from '../../support/wire/session.js';

const POLICIES: readonly OverflowPolicy[] = ['disconnect', 'drop-oldest', 'drop-newest', 'conflate'];
/** Messages that wait for one client at most; bytes do not decide. */
const BY_COUNT = { maxMessages: 20, maxBytes: 256 * 1024 * 1024 };

let cluster: WireCluster;
let server: WireServer;
afterEach(() => cluster.close());

async function start(outbox: { maxMessages: number; maxBytes: number }): Promise<void> {
  cluster = await startWireCluster(1, {
    channels: [
      ...POLICIES.map((overflow) =>
        wireChannel(`${overflow}.:room`, { log: { size: 300 }, policy: { overflow } }),
      ),
      wireChannel('signals.:room', { signals: ['typing'], policy: { overflow: 'drop-oldest' } }),
      wireChannel('members.:room', { presence: true, policy: { overflow: 'drop-oldest' } }),
    ],
    settings: { outbox, limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0 } },
  });
  [server] = cluster.nodes as [WireServer];
}

const turn = async (): Promise<void> => {
  for (let round = 0; round < 2; round++) await new Promise((resolve) => setImmediate(resolve));
};

/** A subscriber that does not read; everything for it waits in the queue from now on. */
async function stalled(channel: string): Promise<WireClient> {
  await start(BY_COUNT);
  const client = await server.connect('ada');
  await client.subscribe(channel);
  await stall(server, { client, user: 'ada', channel });
  return client;
}

/** Publishes one event a turn, so that each finds the queue as the one before it left it. */
async function publish(channel: string, count: number, key?: (index: number) => string): Promise<number> {
  let last = 0;
  for (let index = 0; index < count; index++) {
    const options = key === undefined ? {} : { key: key(index) };
    last = (await server.engine.application.publish(channel, 'said', index, options)).seq;
    await turn();
  }
  return last;
}

/** What comes when the client reads again, fillers aside, up to an event that is published now. */
async function drained(client: WireClient, channel: string): Promise<WireEnvelope[]> {
  client.goOnReading();
  await until('the queue to drain', () => sessionOf(server, 'ada').outbox.bufferedBytes === 0);
  await server.engine.application.publish(channel, 'done', null);
  await client.take({ event: 'done' });
  return client.pending.filter(({ event }) => event !== 'filled');
}

const gaps = (envelopes: readonly WireEnvelope[]) =>
  envelopes.filter(({ type }) => type === 'gap').map(({ payload }) => payload);
const seqs = (envelopes: readonly WireEnvelope[]) =>
  envelopes.filter(({ type }) => type === 'event').map(({ seq }) => seq as number);

describe('bounded queues (G13)', () => {
  it('disconnect: the connection closes with 4003, and the client resumes without loss (G13, P25)', async () => {
    await start(BY_COUNT);
    const peer = new WirePeer('ada');
    await peer.connect(server);
    await peer.follow('disconnect.1');
    await stall(server, { client: peer.client as WireClient, user: 'ada', channel: 'disconnect.1' });
    const { client } = peer;
    const last = await publish('disconnect.1', 30);
    expect(server.engine.status.sessions).toBe(0);
    client?.goOnReading();
    expect(await client?.expectClose()).toEqual({ code: 4003, reason: 'slow_consumer|0' });
    await peer.connect(server);
    await peer.follow('disconnect.1');
    await until('the replay', () => peer.channel('disconnect.1').position?.seq === last);
    peer.check();
    expect(peer.channel('disconnect.1').missing).toEqual([]);
    await peer.cut();
  });

  it('drop-oldest: the oldest events are dropped, and announced in their place (G13, P25)', async () => {
    const client = await stalled('drop-oldest.1');
    const last = await publish('drop-oldest.1', 60);
    const first = last - 59;
    const got = await drained(client, 'drop-oldest.1');
    expect(gaps(got)).toEqual([
      { from: first, to: (seqs(got)[0] as number) - 1, reason: 'overflow', recoverable: true },
    ]);
    expect(got[0]?.type).toBe('gap');
    expect(seqs(got)).toHaveLength(last - (seqs(got)[0] as number) + 1);
    expect(seqs(got).length).toBeGreaterThan(10);
    expect(seqs(got).length).toBeLessThanOrEqual(20);
  });

  it('drop-newest: queued events stay; the dropped tail is announced when the queue has drained (G13, P25)', async () => {
    const client = await stalled('drop-newest.1');
    const last = await publish('drop-newest.1', 60);
    const first = last - 59;
    const got = await drained(client, 'drop-newest.1');
    expect(seqs(got)).toEqual(Array.from({ length: 20 }, (_, index) => first + index));
    expect(got.at(-1)).toMatchObject({
      type: 'gap',
      payload: { from: first + 20, to: last, reason: 'overflow', recoverable: true },
    });
  });

  it('conflate: the newest event of each key stays at its own seq, behind one partial gap (G13, P25)', async () => {
    const client = await stalled('conflate.1');
    const last = await publish('conflate.1', 200, (index) => `sensor-${index % 5}`);
    const got = await drained(client, 'conflate.1');
    expect(got[0]).toMatchObject({
      type: 'gap',
      payload: {
        from: last - 199,
        to: expect.any(Number),
        reason: 'conflated',
        partial: true,
        recoverable: true,
      },
    });
    expect(gaps(got)).toHaveLength(1);
    const events = got.slice(1);
    expect([...seqs(events)].sort((one, other) => one - other)).toEqual(seqs(events));
    const newest = new Map(events.map(({ key, payload }) => [key, payload as unknown]));
    expect(Object.fromEntries(newest)).toEqual({
      'sensor-0': 195,
      'sensor-1': 196,
      'sensor-2': 197,
      'sensor-3': 198,
      'sensor-4': 199,
    });
  });

  it('conflate: events without keys are dropped from the oldest (P25b)', async () => {
    const client = await stalled('conflate.1');
    const last = await publish('conflate.1', 60);
    const got = await drained(client, 'conflate.1');
    expect(gaps(got)).toMatchObject([{ from: last - 59, reason: 'overflow' }]);
    expect(seqs(got).at(-1)).toBe(last);
  });

  it('only events of the channel that overflows are dropped (P25a)', async () => {
    const client = await stalled('drop-oldest.1');
    client.send({ type: 'subscribe', id: 's2', channel: 'drop-oldest.2' });
    await until('the second subscription', () => sessionOf(server, 'ada').channels.names.length === 2);
    await publish('drop-oldest.2', 5);
    await publish('drop-oldest.1', 60);
    const got = await drained(client, 'drop-oldest.1');
    const second = got.filter(({ channel }) => channel === 'drop-oldest.2');
    expect(second.map(({ type, seq }) => [type, seq])).toEqual([1, 2, 3, 4, 5].map((seq) => ['event', seq]));
    expect(got.some(({ ref }) => ref === 's2')).toBe(true);
    expect(gaps(got)).toHaveLength(1);
  });

  it('answers are never dropped: the connection closes with 4003 if they do not fit (P25d)', async () => {
    const client = await stalled('drop-oldest.1');
    for (let index = 0; index < 40; index++) {
      client.send({ type: 'history', id: `y${index}`, channel: 'drop-oldest.1', payload: { limit: 1 } });
    }
    await until('the end', () => server.engine.status.sessions === 0);
    client.goOnReading();
    await client.expectClose(4003);
  });

  it('of signals that do not fit the oldest are dropped without announcement (P25d)', async () => {
    await start(BY_COUNT);
    const client = await server.connect('ada');
    await client.subscribe('signals.1');
    await stall(server, { client, user: 'ada', channel: 'signals.1' });
    for (let index = 0; index < 60; index++)
      await server.engine.application.signal('signals.1', 'typing', index);
    const got = await drained(client, 'signals.1');
    const signals = got
      .filter(({ type }) => type === 'signal')
      .map(({ payload }) => payload as unknown as number);
    expect(signals).toEqual(
      Array.from({ length: signals.length }, (_, index) => 60 - signals.length + index),
    );
    expect(signals.length).toBeGreaterThan(0);
    expect(signals.length).toBeLessThanOrEqual(20);
    expect(got.filter(({ type }) => type !== 'signal')).toEqual([]);
  });

  it('presence that does not fit becomes a diff without content, after which the client reads the members again (P25c)', async () => {
    await start(BY_COUNT);
    const client = await server.connect('ada');
    const { presence } = (await client.subscribe('members.1')) as { presence: { version: number } };
    await stall(server, { client, user: 'ada', channel: 'members.1' });
    for (let index = 0; index < 40; index++) {
      const member = await server.connect(`m${index}`);
      await member.subscribe('members.1', { presence: { receive: false } });
    }
    const diffs = (await drained(client, 'members.1')).filter(({ type }) => type === 'presence');
    let version = presence.version;
    const missed = diffs.filter(({ payload }) => {
      const follows = payload['previous'] === version;
      version = payload['version'] as number;
      return !follows;
    });
    expect(missed).toHaveLength(1);
    expect(missed[0]?.payload).toMatchObject({ previous: version, version, join: [], update: [], leave: [] });
    expect(await client.reply({ type: 'presence', channel: 'members.1' })).toMatchObject({
      version,
      count: 41,
    });
  });
});

describe('queues bounded in bytes (G13)', () => {
  const BY_BYTES = { maxMessages: 1_000_000, maxBytes: 512 * 1024 };
  const EVENT_BYTES = 64 * 1024;

  it.each(['drop-oldest', 'drop-newest', 'conflate'] as const)(
    '%s: the queue of a client that does not read is bounded, including its socket (G13)',
    async (policy) => {
      await start(BY_BYTES);
      const peer = new WirePeer('ada');
      await peer.connect(server);
      const channel = `${policy}.1`;
      await peer.follow(channel);
      peer.client?.stopReading();
      const { outbox } = sessionOf(server, 'ada');
      let most = 0;
      for (let index = 0; index < 400; index++) {
        await server.engine.application.publish(channel, 'said', 'x'.repeat(EVENT_BYTES), {
          key: `k${index % 3}`,
        });
        await turn();
        most = Math.max(most, outbox.bufferedBytes);
      }
      // The kernel has taken a few MB of 25; the rest was bounded. A frame may be in the socket beside a full queue.
      expect(most).toBeGreaterThan(BY_BYTES.maxBytes / 2);
      expect(most).toBeLessThanOrEqual(BY_BYTES.maxBytes + 2 * EVENT_BYTES);
      peer.client?.goOnReading();
      await until('the queue to drain', () => outbox.bufferedBytes === 0);
      const { seq } = await server.engine.application.publish(channel, 'said', 'last');
      await until('the last event', () => peer.channel(channel).covered === seq);
      peer.check();
      expect(peer.channel(channel).missing.length).toBeGreaterThan(0);
      await peer.cut();
    },
  );

  it('the bound holds when one turn fills many channels (G13)', async () => {
    await start(BY_BYTES);
    const client = await server.connect('ada');
    const channels = Array.from({ length: 60 }, (_, index) => `drop-oldest.${index}`);
    for (const channel of channels) await client.subscribe(channel);
    client.stopReading();
    const { outbox } = sessionOf(server, 'ada');
    let most = 0;
    for (let round = 0; round < 3; round++) {
      const payload = 'x'.repeat(3 * EVENT_BYTES);
      await Promise.all(
        channels.map((channel) => server.engine.application.publish(channel, 'said', payload)),
      );
      await turn();
      most = Math.max(most, outbox.bufferedBytes);
    }
    expect(most).toBeLessThanOrEqual(BY_BYTES.maxBytes + 2 * 3 * EVENT_BYTES);
  });
});

describe('any order of stalls, drains and floods (P25)', () => {
  it.each(['drop-oldest', 'drop-newest', 'conflate'] as const)(
    '%s: delivers each event once and in order, or announces its range (seeded) (P25, G13, G3)',
    async (policy) => {
      await start({ maxMessages: 16, maxBytes: 1024 * 1024 });
      const random = new SeededEntropy(policy.length);
      const channel = `${policy}.1`;
      const peer = new WirePeer('ada');
      await peer.connect(server);
      await peer.follow(channel);
      const { outbox } = sessionOf(server, 'ada');
      for (let round = 0; round < 30; round++) {
        if (random.int(2) === 0)
          await stall(server, { client: peer.client as WireClient, user: 'ada', channel });
        const batches = random.int(40);
        for (let batch = 0; batch < batches; batch++) {
          const events = Array.from({ length: 1 + random.int(4) }, () => random.int(8));
          await Promise.all(
            events.map((key) =>
              server.engine.application.publish(channel, 'said', key, key === 0 ? {} : { key: `k${key}` }),
            ),
          );
          if (random.int(2) === 0) await turn();
        }
        peer.client?.goOnReading();
        if (random.int(3) > 0) await until('the queue to drain', () => outbox.bufferedBytes === 0);
      }
      await until('the queue to drain', () => outbox.bufferedBytes === 0);
      const { seq } = await server.engine.application.publish(channel, 'said', 'last');
      await until(
        'the last event',
        () => peer.failure !== undefined || peer.channel(channel).covered === seq,
      );
      peer.check();
      expect(peer.channel(channel).missing.length).toBeGreaterThan(3);
      expect(peer.channel(channel).delivered.length).toBeGreaterThan(100);
      await peer.cut();
    },
  );

  it.each(['drop-oldest', 'drop-newest', 'conflate'] as const)(
    '%s: announces what a client that does not read loses when the log changes (P25, P10, G6)',
    async (policy) => {
      await start({ maxMessages: 16, maxBytes: 256 * 1024 * 1024 });
      const channel = `${policy}.1`;
      const peer = new WirePeer('ada');
      await peer.connect(server);
      await peer.follow(channel);
      await stall(server, { client: peer.client as WireClient, user: 'ada', channel });
      const before = await publish(channel, 30, (index) => `k${index % 4}`);
      const { outbox } = sessionOf(server, 'ada');
      cluster.store.failOver(channel, before - 20);
      // The first event of the new log moves the subscribers; its numbers are those of events that are gone.
      await publish(channel, 5, (index) => `k${index % 4}`);
      await publish(channel, 30, (index) => `k${index % 4}`);
      peer.client?.goOnReading();
      await until('the queue to drain', () => outbox.bufferedBytes === 0);
      const { seq, epoch } = await server.engine.application.publish(channel, 'said', 'last');
      const follower = peer.channel(channel);
      await until('the last event', () => peer.failure !== undefined || follower.covered === seq);
      peer.check();
      expect(follower.position).toMatchObject({ epoch });
      // Of the new log each seq was delivered, or told to be missing, and nothing of it was told as delivered twice.
      const reset = follower.recoveries.at(-1)?.position.seq as number;
      const told = new Set(
        follower.delivered.filter((event) => event.epoch === epoch).map((event) => event.seq),
      );
      for (const gap of follower.missing.filter((range) => range.epoch === epoch)) {
        for (let missing = gap.from; missing <= gap.to; missing++) told.add(missing);
      }
      for (let expected = reset + 1; expected <= seq; expected++) expect(told.has(expected)).toBe(true);
      expect(Math.max(...told)).toBe(seq);
      await peer.cut();
    },
  );
});

describe('overflow over MessagePack (P25)', () => {
  it('a gap over MessagePack has the same fields as over JSON (P25)', async () => {
    await start(BY_COUNT);
    const client = await server.connect('ada', { protocols: ['realtime.v1.msgpack'] });
    await client.subscribe('drop-oldest.1');
    await stall(server, { client, user: 'ada', channel: 'drop-oldest.1' });
    await publish('drop-oldest.1', 40);
    const got = await drained(client, 'drop-oldest.1');
    expect(gaps(got)).toMatchObject([{ reason: 'overflow', recoverable: true }]);
    expect(encode(got[0]?.payload).byteLength).toBeGreaterThan(0);
  });
});
