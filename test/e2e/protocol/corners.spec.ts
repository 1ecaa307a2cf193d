import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import { applyOverflow } from '../../../lib/core/outbox/overflow.js';
import { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import type { Flow, GapEntry } from '../../../lib/core/outbox/entry.js';
import { newQueue } from '../../support/engine/new-queue.js';
import type { Position } from '../../../lib/protocol/position.js';
import { lossyBroker } from '../../support/fault/lossy-broker.js';
import { channel } from '../../support/engine/harness.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { sessionOf, stall } from '../../support/wire/session.js';

// Corners in which the protocol is easily broken.

let server: WireServer | undefined;

async function start(options: WireServerOptions = {}): Promise<WireServer> {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    settings: { outbox: { maxBytes: 64 * 1024 * 1024, maxMessages: 100_000 } },
    ...options,
  });
  return server;
}

afterEach(() => server?.close());

/** A client that does not read, for whom everything that follows waits in the server's queue. */
async function stalled(running: WireServer): Promise<WireClient> {
  const client = await running.connect('alice');
  await client.subscribe('rooms.flood');
  await stall(running, { client, user: 'alice', channel: 'rooms.flood' });
  return client;
}

/** Waits until the server has queued something more for the client, the answer to what was just sent. */
async function queued(running: WireServer, send: () => void): Promise<void> {
  const { outbox } = sessionOf(running, 'alice');
  const before = outbox.bufferedBytes;
  send();
  await until('the answer to be queued', () => outbox.bufferedBytes > before);
}

describe('subscribe and unsubscribe under load', () => {
  it('a subscribe is answered although an unsubscribe follows it in a full queue (P7, P25d)', async () => {
    const running = await start();
    const client = await stalled(running);
    await queued(running, () => client.send({ type: 'subscribe', id: 's1', channel: 'rooms.1' }));
    client.send({ type: 'unsubscribe', id: 'u1', channel: 'rooms.1' });
    client.goOnReading();
    await client.take({ ref: 'u1' });
    await client.take({ ref: 's1' });
  });

  it('a subscribe whose reply was dropped by the next unsubscribe is answered with not_subscribed, once, and before the unsubscribe (P7, P24a)', async () => {
    const running = await start();
    const client = await stalled(running);
    await queued(running, () => client.send({ type: 'subscribe', id: 's1', channel: 'rooms.1' }));
    client.send({ type: 'unsubscribe', id: 'u1', channel: 'rooms.1' });
    client.goOnReading();
    await client.take({ ref: 'u1' });
    await client.call({ type: 'ping', id: 'p1' });
    const answers = client.received.filter(({ ref }) => ref === 's1' || ref === 'u1');
    expect(answers).toMatchObject([
      { type: 'error', ref: 's1', payload: { code: 'not_subscribed' } },
      { type: 'reply', ref: 'u1' },
    ]);
    // The channel can be had again, and its answer is a reply.
    await client.subscribe('rooms.1');
  });

  it('a subscribe that was not cancelled is answered with a reply, however long it waited (P7)', async () => {
    const running = await start();
    const client = await stalled(running);
    await queued(running, () => client.send({ type: 'subscribe', id: 's1', channel: 'rooms.1' }));
    await running.engine.application.publish('rooms.1', 'said', 'behind the answer');
    client.goOnReading();
    expect(await client.take({ ref: 's1' })).toMatchObject({ type: 'reply', payload: { recovery: 'new' } });
    expect(await client.take({ type: 'event', channel: 'rooms.1' })).toMatchObject({
      payload: 'behind the answer',
    });
  });

  it('a subscribe after an unsubscribe succeeds although the first subscribe was cancelled (P24)', async () => {
    const { connect } = await start();
    const client = await connect('alice');
    client.sendAll([
      { type: 'subscribe', id: 's1', channel: 'rooms.1' },
      { type: 'unsubscribe', id: 'u1', channel: 'rooms.1' },
      { type: 'subscribe', id: 's2', channel: 'rooms.1' },
    ]);
    expect((await client.take({ ref: 's2' })).type).toBe('reply');
  });

  it('resumed is sent also when the log is ahead of the node (P12)', async () => {
    const broker = lossyBroker(memoryBroker());
    const { engine, connect } = await start({ broker, settings: { ringSize: 16 } });
    const alice = await connect('alice');
    const { epoch } = (await alice.subscribe('rooms.1'))['position'] as Position;
    for (let n = 0; n < 300; n++) await engine.application.publish('rooms.1', 'said', n);
    broker.mangle = () => [];
    for (let n = 0; n < 3; n++) await engine.application.publish('rooms.1', 'said', 'lost on the way');
    broker.mangle = undefined;
    const bob = await connect('bob');
    // A page of the replay ends inside the ring, whose newest event is older than `position`.
    const answer = await bob.subscribe('rooms.1', { position: { epoch, seq: 33 } });
    expect(answer).toMatchObject({ recovery: 'complete', position: { seq: 303 } });
    await engine.application.publish('rooms.1', 'said', 'the next');
    await until('the next', () => bob.pending.at(-1)?.seq === 304);
    expect(bob.pending.filter(({ type }) => type === 'resumed')).toHaveLength(1);
  });

  it('a position in a log that was cleared is not continued (G6)', async () => {
    const store = new MemoryStore();
    const { engine, connect } = await start({ broker: memoryBroker({ store }) });
    const alice = await connect('alice');
    const { position } = await alice.subscribe('rooms.1');
    await engine.application.publish('rooms.1', 'said', 1);
    store.clear('rooms.1');
    const bob = await connect('bob');
    expect(await bob.subscribe('rooms.1', { position })).toMatchObject({ recovery: 'lost' });
  });

  it('an answer to history is not sent after the channel was revoked (G11)', async () => {
    const running = await start();
    const client = await running.connect('alice');
    await client.subscribe('rooms.secret');
    await running.engine.application.publish('rooms.secret', 'said', 'secret');
    await client.next('event');
    await client.subscribe('rooms.flood');
    await stall(running, { client, user: 'alice', channel: 'rooms.flood' });
    await queued(running, () => client.send({ type: 'history', id: 'h1', channel: 'rooms.secret' }));
    await running.engine.revoke('alice', 'rooms.secret');
    client.goOnReading();
    await client.take({ type: 'unsubscribed' });
    const answer = await client.take({ ref: 'h1' });
    expect(JSON.stringify(answer)).not.toContain('"secret"');
  });
});

describe('publish', () => {
  const publish = (client: WireClient, id: string, more: object = {}) =>
    client.call({ type: 'publish', id, channel: 'rooms.1', event: 'said', payload: 1, ...more });

  it('`after` finds a logged publish in a channel without dedupe (P16)', async () => {
    const channel = wireChannel('rooms.:room', { publish: ['said'], log: { dedupeMs: 0 } });
    const { connect } = await start({ channels: [channel] });
    const client = await connect('alice');
    expect((await publish(client, 'p1')).type).toBe('reply');
    expect((await publish(client, 'p2', { after: 'p1' })).type).toBe('reply');
  });

  it('a repeated publish is not acknowledged from memory when the log lost the first one (P15, G6)', async () => {
    const store = new MemoryStore();
    const { engine, connect } = await start({ broker: memoryBroker({ store }) });
    const client = await connect('alice');
    await publish(client, 'p1');
    store.failOver('rooms.1', 0);
    await publish(client, 'p1');
    expect((await engine.application.history('rooms.1')).events).toHaveLength(1);
  });

  it('the same command passes after the delay that rate_limited gives (G16)', async () => {
    const clock = new ManualClock();
    const { connect } = await start({ clock, settings: { limits: { bytesPerSecond: 10_000 } } });
    const client = await connect('alice');
    // A larger frame would not be refused: it waits until it is paid (P4d).
    const text = { payload: 'x'.repeat(3_000) };
    let published = 0;
    let answer = await publish(client, 'p0', text);
    while (answer.type === 'reply') answer = await publish(client, `p${++published}`, text);
    expect(published).toBeGreaterThan(0);
    clock.advance(Number(answer.payload['retryAfterMs']));
    expect((await publish(client, `p${published}`, text)).type).toBe('reply');
  });
});

describe('gaps (P25)', () => {
  /** A queue of four, under `drop-oldest`, that holds a gap and then events from 11 on. */
  function overflowBehind(
    gap: Pick<GapEntry, 'reason' | 'recoverable'>,
    reset: boolean,
  ): (GapEntry | number)[] {
    const queue = newQueue();
    const flow: Flow = {
      name: 'rooms.1',
      epoch: 'new',
      definition: channel('rooms.:room', { policy: { overflow: 'drop-oldest' } }),
      isFrozen: false,
    };
    const epoch = reset ? 'old' : 'new';
    queue.push({ flow, gap: { from: 5, to: 10, partial: false, epoch, dropped: 6, ...gap } });
    if (reset) queue.push({ flow, bytes: Buffer.from('reset') });
    for (let seq = 11; seq <= 14; seq++) {
      const event = new ChannelEvent({
        channel: 'rooms.1',
        seq,
        epoch: 'new',
        ts: 0,
        expiresAt: Infinity,
        id: `e${seq}`,
        event: 'said',
      });
      if (queue.length >= 4) applyOverflow(flow, event, queue, () => queue.length + 1 > 4);
      queue.push({ flow, bytes: Buffer.from('event'), event });
    }
    return queue.toArray().flatMap((entry) => entry.gap ?? entry.event?.seq ?? []);
  }

  it('an overflow behind an expired event is announced as overflow (P25)', () => {
    const gaps = overflowBehind({ reason: 'expired', recoverable: false }, false);
    expect(gaps).toContainEqual(
      expect.objectContaining({ from: 11, to: 12, reason: 'overflow', recoverable: true }),
    );
  });

  it('an overflow in a new log is announced in the new epoch (P25)', () => {
    const gaps = overflowBehind({ reason: 'overflow', recoverable: true }, true);
    expect(gaps).toContainEqual(expect.objectContaining({ from: 11, reason: 'overflow', epoch: 'new' }));
  });
});

describe('auth', () => {
  it('an auth command is answered although the authenticator never answers (P7, P7b)', async () => {
    const { connect } = await start({
      authenticator: {
        authenticate: ({ via, token = '' }) =>
          via === 'auth' ? new Promise(() => undefined) : { user: { id: token } },
      },
      settings: { handlerTimeoutMs: 50 },
    });
    const client = await connect('alice');
    expect(await client.error({ type: 'auth', payload: { token: 'alice' } })).toMatchObject({
      code: 'timeout',
    });
  });
});
