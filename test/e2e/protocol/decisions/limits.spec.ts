import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../support/manual-clock.js';
import { WireClient } from '../../../support/wire-client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../../support/wire-server.js';
import { TICK, QUIET, CHANNELS } from './setting.js';

let server: WireServer;

async function start(options: WireServerOptions = {}): Promise<WireServer> {
  server = await startWireServer({ channels: CHANNELS, ...options });
  return server;
}

afterEach(() => server.close());

describe('limits (G16)', () => {
  it('a command above the rate is refused with a delay and does not run; subscribes and pongs are free', async () => {
    await start({ settings: { limits: { burst: 2, ratePerSecond: 1, maxChannels: 3 } } });
    const client = await server.connect('alice');
    for (const room of [1, 2, 3]) await client.subscribe(`rooms.${room}`);
    for (let n = 0; n < 5; n++) client.send({ type: 'pong' });
    const codes: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      const answer = await client.call({ type: 'publish', channel: 'rooms.9', event: 'said' });
      codes.push(answer.payload['code']);
      if (n === 2) expect(Number(answer.payload['retryAfterMs'])).toBeGreaterThan(100);
    }
    expect(codes).toEqual([undefined, undefined, 'rate_limited']);
    expect((await server.engine.history('rooms.9')).events).toHaveLength(2);
  });

  it('who goes on is closed with 4807 and banned for a while', async () => {
    await start({
      settings: {
        limits: { burst: 1, ratePerSecond: 1 },
        abuse: { throttleAfter: 3, closeAfter: 5, banMs: 30_000 },
      },
    });
    const client = await server.connect('alice');
    client.sendAll(Array.from({ length: 10 }, (_, n) => ({ type: 'ping', id: `k${n}` })));
    const { reason } = await client.expectClose(4807);
    expect(reason).toBe('rate_abuse|30000');
    const again = await server.open();
    again.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'alice' } });
    await again.expectClose(4803);
    await server.connect('bob');
  });

  it('G17, P18 connections of one address, and of the node, are bounded; refusals say when to come back', async () => {
    await start({ settings: { limits: { maxConnectionsPerAddress: 1 } } });
    const client = await server.connect('alice');
    const busy = await WireClient.refused(server.url);
    expect([busy.status, busy.headers['retry-after']]).toEqual([429, '2']);
    await client.close();
    await server.connect('alice');
    await server.close();
    await start({ settings: { limits: { maxConnections: 1 } } });
    await server.connect('alice');
    const full = await WireClient.refused(server.url);
    expect([full.status, full.headers['retry-after']]).toEqual([503, '2']);
  });

  it('subscriptions are bounded', async () => {
    await start({ settings: { limits: { maxChannels: 1 } } });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    expect(await client.error({ type: 'subscribe', channel: 'rooms.2' })).toMatchObject({
      code: 'too_many_channels',
    });
    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await client.subscribe('rooms.2');
  });
});

describe('the end', () => {
  it('P19b, G18 a drain says bye, flushes and closes with 4001', async () => {
    await start({ settings: { drainSpreadMs: 700 } });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    await server.engine.publish('rooms.1', 'said', 1);
    await server.engine.drain(1_000);
    expect(await client.take({ type: 'bye' })).toMatchObject({
      payload: { code: 4001, retryAfterMs: 0, spreadMs: 700 },
    });
    expect((await client.take({ type: 'event' })).seq).toBe(1);
    expect(await client.expectClose(4001)).toMatchObject({ reason: 'drain|0' });
  });

  it('G12 a token’s end is announced, can be put off by the same user only, and closes with 4008', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: QUIET });
    const client = await server.connect('alice+20000');
    expect(client.welcome?.tokenExpiresInMs).toBe(20_000);
    clock.advance(10_000 + TICK);
    const asked = await client.next('auth_required');
    expect(Number(asked.payload['withinMs'])).toBeLessThanOrEqual(10_000);
    expect(await client.error({ type: 'auth', payload: { token: 'bob' } })).toMatchObject({
      code: 'forbidden',
    });
    expect(await client.error({ type: 'auth', payload: { token: 'bad' } })).toMatchObject({
      code: 'unauthorized',
    });
    expect(await client.reply({ type: 'auth', payload: { token: 'alice+20000' } })).toEqual({
      expiresInMs: 20_000,
    });
    clock.advance(10_000 + TICK);
    await client.next('auth_required');
    clock.advance(10_000);
    await client.expectClose(4008);
  });

  it('P8 a client that does not answer is closed with 4004; one that does is not', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: { heartbeat: { intervalMs: 20_000, timeoutMs: 30_000 } } });
    const connect = (name: string) => server.connect(name, { answersPings: false });
    const [mute, alive] = [await connect('mute'), await connect('alive')];
    // The first ping comes at a random part of the interval, and nobody has missed it yet when it is over.
    clock.advance(20_000 + TICK);
    expect((await mute.next('ping')).id).toEqual(expect.any(String));
    alive.send({ type: 'pong', ref: (await alive.next('ping')).id });
    // Answered behind the pong, so the sign of life has been seen.
    await alive.call({ type: 'ping' });
    clock.advance(30_000 + TICK);
    await mute.expectClose(4004);
    expect((await alive.call({ type: 'ping' })).type).toBe('pong');
  });
});
