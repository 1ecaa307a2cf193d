import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { sessionOf, stall } from '../../support/wire/session.js';

const CHANNEL = 'rooms.1';

let server: WireServer;
afterEach(() => server.close());

/** A subscriber that does not read, and for whom everything waits in the queue. */
async function stalled(options: WireServerOptions = {}, token = 'ada'): Promise<WireClient> {
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', {
        log: { size: 50 },
        presence: true,
        publish: ['said'],
        signals: ['typing'],
        policy: { overflow: 'drop-oldest' },
      }),
    ],
    settings: { outbox: { maxMessages: 1_000, maxBytes: 64 * 1024 * 1024 }, ...options.settings },
    ...options,
  });
  const client = await server.connect(token);
  await client.subscribe(CHANNEL);
  await stall(server, { client, user: 'ada', channel: CHANNEL });
  return client;
}

/** Publishes, and lets the turn pass in which the events are queued. */
const say = async (count: number): Promise<void> => {
  for (let index = 0; index < count; index++) await server.engine.application.publish(CHANNEL, 'said', index);
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** Sends what the server reads although its answer cannot leave, and waits until it has. */
async function send(client: WireClient, ...envelopes: readonly Record<string, unknown>[]): Promise<void> {
  const { inbound } = sessionOf(server, 'ada') as unknown as {
    inbound: { admit(...given: unknown[]): unknown };
  };
  const admit = inbound.admit.bind(inbound);
  let read = 0;
  inbound.admit = (...given) => (read++, admit(...given));
  client.sendAll(envelopes);
  while (read < envelopes.length) await new Promise((resolve) => setImmediate(resolve));
  inbound.admit = admit;
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Everything that comes until the answer to a ping that is sent now. */
async function drain(client: WireClient): Promise<WireEnvelope[]> {
  client.goOnReading();
  await client.call({ type: 'ping', id: 'drained' });
  // The pong overtakes; what the queue held follows it.
  await until('the queue to drain', () => sessionOf(server, 'ada').outbox.bufferedBytes === 0);
  await client.call({ type: 'ping', id: 'drained-2' });
  return client.pending.filter(({ event }) => event !== 'filled');
}

describe('the two delivery lanes (P24)', () => {
  it('pong, the replies to auth and unsubscribe, and auth_required overtake queued events (P24, G15)', async () => {
    const client = await stalled({ settings: { authRequiredAheadMs: 60_000_000 } }, 'ada+5000000');
    await say(20);
    await send(
      client,
      { type: 'ping', id: 'p1' },
      { type: 'history', id: 'y1', channel: CHANNEL, payload: { limit: 1 } },
      { type: 'auth', id: 't1', payload: { token: 'ada+6000000' } },
      { type: 'unsubscribe', id: 'u1', channel: 'rooms.other' },
    );
    const refs = (await drain(client)).map(({ type, ref }) => (type === 'event' ? 'event' : (ref ?? type)));
    const first = refs.indexOf('event');
    expect(refs.slice(0, first).sort()).toEqual(['p1', 't1', 'u1']);
    expect(refs.slice(first)).toEqual([...Array.from({ length: 20 }, () => 'event'), 'y1']);
  });

  it('ping and bye overtake queued events, which are still sent (P24, G15)', async () => {
    const client = await stalled();
    await say(20);
    sessionOf(server, 'ada')['outbox'].pushControl({ type: 'ping', id: 'from-the-server' });
    const draining = server.engine.drain(8_000);
    await new Promise((resolve) => setImmediate(resolve));
    client.goOnReading();
    const types: string[] = [];
    for (;;) {
      const envelope = await client.next().catch(() => undefined);
      if (envelope === undefined) break;
      if (envelope.event !== 'filled') types.push(envelope.type);
    }
    await draining;
    expect(types).toEqual(['bye', ...Array.from({ length: 20 }, () => 'event')]);
    await client.expectClose(4001);
  });

  it('unsubscribed drops what is queued of its channel, and nothing of the channel follows it (P24a, G11, G15)', async () => {
    const client = await stalled();
    await say(20);
    await server.engine.revoke('ada', CHANNEL, { reason: 'thrown out' });
    await say(5);
    const rest = await drain(client);
    expect(rest).toEqual([
      {
        type: 'unsubscribed',
        channel: CHANNEL,
        ts: expect.any(Number),
        payload: { code: 'forbidden', message: 'Access was revoked', retryable: false },
      },
    ]);
  });

  it('the reply to unsubscribe drops what is queued of the channel; the next subscribe starts with its own answer (P24a)', async () => {
    const client = await stalled();
    await say(20);
    await send(client, { type: 'unsubscribe', id: 'u1', channel: CHANNEL });
    await say(2);
    await send(client, { type: 'subscribe', id: 's2', channel: CHANNEL, payload: { presence: false } });
    await say(2);
    const rest = await drain(client);
    expect(rest.map(({ type, ref, payload }) => ref ?? [type, payload])).toEqual([
      'u1',
      's2',
      ['event', 0],
      ['event', 1],
    ]);
  });

  it('an unsubscribe drops no answer: subscribe and presence are each answered once (P7, P24a, P25d)', async () => {
    const client = await stalled();
    await send(client, { type: 'presence', id: 'q1', channel: CHANNEL, payload: {} });
    await send(client, { type: 'subscribe', id: 's2', channel: 'rooms.2', payload: {} });
    await server.engine.application.publish('rooms.2', 'said', 'dropped');
    await send(client, { type: 'unsubscribe', id: 'u2', channel: 'rooms.2' });
    await send(client, { type: 'unsubscribe', id: 'u1', channel: CHANNEL });
    const rest = await drain(client);
    expect(rest.filter(({ channel }) => channel === 'rooms.2')).toEqual([]);
    const refs = rest.flatMap(({ ref }) => (ref === undefined ? [] : [ref]));
    expect([...refs].sort()).toEqual(['q1', 's2', 'u1', 'u2']);
    // What answers a subscription does not come behind its end.
    expect(refs.indexOf('s2')).toBeLessThan(refs.indexOf('u2'));
    expect(refs.indexOf('q1')).toBeLessThan(refs.indexOf('u1'));
  });

  it('a revoke drops channel data from a queued answer, but not the answer (P7, G11, P24a)', async () => {
    const client = await stalled();
    await send(client, { type: 'presence', id: 'q1', channel: CHANNEL, payload: {} });
    await server.engine.revoke('ada', CHANNEL);
    const [answer, end, ...others] = await drain(client);
    expect(answer).toMatchObject({ type: 'error', ref: 'q1', payload: { code: 'forbidden' } });
    expect(end).toMatchObject({ type: 'unsubscribed', channel: CHANNEL });
    expect(others).toEqual([]);
  });

  it('answers of a channel keep their place behind the events queued before them (P24)', async () => {
    const client = await stalled();
    await say(3);
    await send(client, { type: 'request', id: 'r1', channel: CHANNEL, event: 'nothing' });
    await say(3);
    await send(client, { type: 'history', id: 'y1', channel: CHANNEL, payload: { limit: 1 } });
    const order = (await drain(client)).map(({ ref, type }) => ref ?? type);
    expect(order).toEqual(['event', 'event', 'event', 'r1', 'event', 'event', 'event', 'y1']);
  });

  it('presence keeps its place among the events of its channel, also within one turn (P24)', async () => {
    server = await startWireServer({
      channels: [wireChannel('rooms.:room', { presence: true, publish: ['said'] })],
    });
    const watcher = await server.connect('eve');
    await watcher.subscribe(CHANNEL);
    const client = await server.connect('ada');
    await client.subscribe(CHANNEL);
    await watcher.take({ type: 'presence' });
    for (let round = 0; round < 5; round++) {
      client.sendAll([
        { type: 'publish', id: `m${round}`, channel: CHANNEL, event: 'said', payload: round },
        { type: 'presence_update', id: `u${round}`, channel: CHANNEL, payload: { data: round } },
      ]);
      expect((await watcher.next('event')).payload).toBe(round);
      expect((await watcher.next('presence')).payload).toMatchObject({
        update: [{ id: 'ada', data: round }],
      });
    }
  });
});
