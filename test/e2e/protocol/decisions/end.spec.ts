import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { QUIET, server, start, stop, TICK } from './setting.js';

afterEach(stop);

describe('the end of a connection', () => {
  it('a drain says bye, flushes and closes with 4001 (P19b, G18)', async () => {
    await start({ settings: { drainSpreadMs: 70 } });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    await server.engine.application.publish('rooms.1', 'said', 1);
    await server.engine.drain(1_000);
    expect(await client.take({ type: 'bye' })).toMatchObject({
      payload: { code: 4001, retryAfterMs: 0, spreadMs: 70 },
    });
    expect((await client.take({ type: 'event' })).seq).toBe(1);
    expect(await client.expectClose(4001)).toMatchObject({ reason: 'drain|0' });
  });

  it('the expiry of a token is announced, can be postponed by the same user only, and closes with 4008 (G12)', async () => {
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

  it('a client that does not answer a ping is closed with 4004; a client that answers is not (P8)', async () => {
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
