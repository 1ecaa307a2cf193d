import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CLOSE_CODES } from '../../../lib/protocol/close-codes.js';
import { wireChannel } from '../../support/wire/channel.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

/** How long a wait that must fail is let wait. */
const SOON_MS = 50;

describe('the wire client of the tests', () => {
  let server: WireServer;

  beforeEach(async () => {
    server = await startWireServer({
      channels: [wireChannel('rooms.:room', { publish: ['said'] })],
      settings: { limits: { maxChannels: 3 }, anonymous: true },
    });
  });

  afterEach(() => server.close());

  it('connects, subscribes, publishes and receives the event', async () => {
    const alice = await server.connect('alice');
    expect(alice.welcome).toMatchObject({ user: 'alice', limits: { maxChannels: 3, ratePerSecond: 50 } });
    expect(await alice.subscribe('rooms.1')).toMatchObject({ recovery: 'new', position: { seq: 0 } });
    expect(
      await alice.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 'hello' }),
    ).toMatchObject({ seq: 1, duplicate: false });
    expect(await alice.next('event')).toMatchObject({ seq: 1, payload: 'hello', user: 'alice' });
    await server.rest(alice);
    expect(alice.pending).toEqual([]);
  });

  it.each(['realtime.v1.json', 'realtime.v1.msgpack'])('splits %s batches in order', async (protocol) => {
    const alice = await server.connect('alice', { protocols: [protocol] });
    expect(alice.protocol).toBe(protocol);
    await alice.subscribe('rooms.1');
    alice.sendAll(
      [1, 2, 3].map((n) => ({ type: 'publish', id: `p${n}`, channel: 'rooms.1', event: 'said', payload: n })),
    );
    for (const seq of [1, 2, 3]) expect(await alice.take({ type: 'event' })).toMatchObject({ seq });
    expect(alice.pending.map(({ ref }) => ref)).toEqual(['p1', 'p2', 'p3']);
  });

  it('reports what came instead of the expected message', async () => {
    const client = await server.open({ name: 'Bob', timeoutMs: SOON_MS });
    client.send({ type: 'hello', id: 'h1', payload: { versions: [1] } });
    await expect(client.next('reply')).rejects.toThrow(/Bob: expected "reply" as the next envelope.*welcome/);
    await expect(client.next()).resolves.toMatchObject({ type: 'welcome' });
    await expect(client.next()).rejects.toThrow(/Nothing such came within 50 ms/);
    await expect(client.expectClose()).rejects.toThrow('the connection is open');
  });

  it('reports the close code, and rejects a pending wait when the connection ends', async () => {
    const client = await server.open();
    const waiting = client.next();
    client.send('not protocol');
    await expect(waiting).rejects.toThrow(/The connection ended first.*4805 protocol_error\|0/s);
    expect(await client.expectClose(CLOSE_CODES.protocol_error.code)).toEqual({
      code: 4805,
      reason: 'protocol_error|0',
    });
  });

  it('returns a refused upgrade', async () => {
    const refusal = await WireClient.refused(server.url, { protocols: ['chat'] });
    expect(refusal.status).toBe(400);
    expect(JSON.parse(refusal.body)).toMatchObject({ statusCode: 400 });
    expect((await fetch(server.httpUrl)).status).toBe(426);
  });

  it('leaves nothing behind after the server closes', async () => {
    await server.connect();
    await server.close();
    await server.close();
    await expect(WireClient.open(server.url)).rejects.toThrow('ECONNREFUSED');
    expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
