import { afterEach, describe, expect, it } from '@jest/globals';
import { WireClient } from '../../../support/wire/client.js';
import { server, start, stop } from './setting.js';

afterEach(stop);

describe('limits (G16)', () => {
  it('a command above the rate is refused with a delay and does not run; first subscribes are not counted', async () => {
    await start({ settings: { limits: { burst: 2, ratePerSecond: 1, maxChannels: 3 } } });
    const client = await server.connect('alice');
    for (const room of [1, 2, 3]) await client.subscribe(`rooms.${room}`);
    const codes: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      const answer = await client.call({ type: 'publish', channel: 'rooms.9', event: 'said' });
      codes.push(answer.payload['code']);
      if (n === 2) expect(Number(answer.payload['retryAfterMs'])).toBeGreaterThan(100);
    }
    expect(codes).toEqual([undefined, undefined, 'rate_limited']);
    expect((await server.engine.application.history('rooms.9')).events).toHaveLength(2);
  });

  it('a client that continues above the rate is closed with 4807 and banned for a time', async () => {
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

  it('connections are bounded per address and per node; a refusal says when to retry (G17, P18)', async () => {
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

  it('subscriptions per connection are bounded', async () => {
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
