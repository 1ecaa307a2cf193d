import { afterEach, describe, expect, it } from '@jest/globals';
import type { UserLimits } from '../../../../lib/core/ports/user-limits.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

async function start(limits: (id: string) => unknown): Promise<void> {
  harness = await EngineHarness.start([channel('rooms.:room')], {
    limitsForUser: ({ id }) => limits(id) as UserLimits,
  });
}

const welcomed = (client: FakeConnection) => client.received.some(({ type }) => type === 'welcome');
const limitsOf = (client: FakeConnection) =>
  (client.received.find(({ type }) => type === 'welcome')?.payload as { limits: object; session: string }) ??
  {};

async function pings(client: FakeConnection, count: number): Promise<number> {
  client.take();
  client.send(...Array.from({ length: count }, (_, n) => ({ type: 'ping', id: `p${n}` })));
  await quiet();
  return client.take('pong').length;
}

describe('limits of single users (G16)', () => {
  it('a user has the rate and the channels of its plan, which welcome announces; others have those of all', async () => {
    await start((id) => (id === 'free' ? { ratePerSecond: 1, burst: 5, maxChannels: 1 } : undefined));
    const free = await harness.greet('user:free');
    const other = await harness.greet('user:other');
    expect(limitsOf(free).limits).toMatchObject({ ratePerSecond: 1, maxChannels: 1 });
    expect(limitsOf(other).limits).toMatchObject({ ratePerSecond: 50, maxChannels: 128 });
    for (const name of ['a', 'b']) free.send({ type: 'subscribe', id: name, channel: `rooms.${name}` });
    await quiet();
    expect(free.take('error')[0]?.payload).toMatchObject({ code: 'too_many_channels' });
    harness.clock.advance(10_000);
    expect(await pings(free, 20)).toBe(5);
    expect(await pings(other, 20)).toBe(20);
    harness.clock.advance(1_000);
    expect(await pings(free, 20)).toBe(1);
  });

  it('users of a tenant share its connections, which the end of one gives back', async () => {
    await start(() => ({ tenant: { id: 'acme', maxConnections: 2 } }));
    const first = await harness.greet('user:a');
    await harness.greet('user:b');
    const third = await harness.greet('user:c');
    expect(welcomed(third)).toBe(false);
    expect(third.received[0]?.payload).toMatchObject({ code: 'rate_limited', retryAfterMs: 2_000 });
    expect(third.received[0]?.payload).toMatchObject({ reason: 'too_many_connections' });
    expect(third.closed?.code).toBe(4009);
    expect(welcomed(await harness.greet('user:d'))).toBe(false);
    first.drop();
    expect(welcomed(await harness.greet('user:c'))).toBe(true);
    expect(welcomed(await harness.greet('user:a'))).toBe(false);
  });

  it('users of a tenant share its rate of commands, and those of another do not', async () => {
    await start((id) => ({ tenant: { id: id.slice(0, 1), ratePerSecond: 3 } }));
    const [a1, a2, b1] = [
      await harness.greet('user:a1'),
      await harness.greet('user:a2'),
      await harness.greet('user:b1'),
    ];
    expect(await pings(a1, 10)).toBe(6);
    expect(await pings(a2, 10)).toBe(0);
    expect(await pings(b1, 10)).toBe(6);
    harness.clock.advance(1_000);
    expect(await pings(a2, 10)).toBe(3);
  });

  it('a user has so many connections, and one that continues its session takes the place of the older one', async () => {
    await start(() => ({ maxConnections: 1, tenant: { id: 'acme', maxConnections: 1 } }));
    const first = await harness.greet('user:a');
    expect(welcomed(await harness.greet('user:a'))).toBe(false);
    expect(welcomed(first)).toBe(true);
    const next = await harness.greet('user:a', limitsOf(first).session);
    expect(welcomed(next)).toBe(true);
    expect(first.closed?.code).toBe(4810);
    next.drop();
    expect(welcomed(await harness.greet('user:a'))).toBe(true);
  });

  it.each([
    ['throws', () => Promise.reject(new Error('away')).catch(() => undefined)],
    ['gives a text', () => ({ ratePerSecond: '5' })],
    ['gives no whole number', () => ({ maxChannels: 1.5 })],
    ['gives 0', () => ({ maxConnections: 0 })],
    ['gives more than frames allow', () => ({ ratePerSecond: 401 })],
    ['gives a tenant without a name', () => ({ tenant: { maxConnections: 5 } })],
    ['misspells a limit', () => ({ maxChanels: 1 })],
    ['misspells a limit of a tenant', () => ({ tenant: { id: 'acme', maxConnection: 1 } })],
    ['is asynchronous', () => Promise.resolve({ burst: 5 })],
  ])('a function that %s refuses its user for the moment, and is logged', async (_, limits) => {
    await start((id) => (id === 'ada' ? limits() : undefined));
    const client = await harness.greet('user:ada');
    expect(client.received[0]?.payload).toMatchObject({
      code: 'unavailable',
      retryable: true,
      retryAfterMs: 2_000,
    });
    expect(harness.errors).toHaveLength(1);
    expect(welcomed(await harness.greet('user:eve'))).toBe(true);
    expect(welcomed(await harness.greet())).toBe(true);
  });

  it('a user without a tenant has as many connections as its plan says, and no more', async () => {
    await start(() => ({ maxConnections: 2 }));
    await harness.greet('user:a');
    expect(welcomed(await harness.greet('user:a'))).toBe(true);
    const third = await harness.greet('user:a');
    expect([welcomed(third), third.closed?.code]).toEqual([false, 4009]);
    expect(welcomed(await harness.greet('user:b'))).toBe(true);
  });

  it('null is as nothing', async () => {
    await start(() => null);
    expect(welcomed(await harness.greet('user:ada'))).toBe(true);
  });

  it('a new token leads into a tenant only where that has room, and the connection keeps its old one', async () => {
    let tenant = 'big';
    await start(() => ({ tenant: { id: tenant, maxConnections: tenant === 'big' ? 9 : 1 } }));
    const [first, second] = [await harness.greet('user:eve'), await harness.greet('user:eve')];
    tenant = 'small';
    for (const client of [first, second]) {
      client.take();
      client.send({ type: 'auth', id: 'x', payload: { token: 'user:eve' } });
    }
    await quiet();
    expect(first.take('reply')).toHaveLength(1);
    expect(second.take('error')[0]?.payload).toMatchObject({ code: 'rate_limited', retryable: true });
    first.drop();
    expect(welcomed(await harness.greet('user:bob'))).toBe(true);
  });

  it('a new token brings the limits of a new plan; where they are not known, the old ones stay', async () => {
    let plan: unknown = { burst: 5, tenant: { id: 'one', maxConnections: 1 } };
    await start(() => plan);
    const client = await harness.greet('user:a');
    plan = { burst: 7, tenant: { id: 'two', maxConnections: 1 } };
    client.send({ type: 'auth', id: 'x', payload: { token: 'user:a' } });
    await quiet();
    harness.clock.advance(10_000);
    expect(await pings(client, 20)).toBe(7);
    plan = { burst: -1 };
    harness.clock.advance(10_000);
    client.send({ type: 'auth', id: 'y', payload: { token: 'user:a' } });
    await quiet();
    expect(client.take('error')[0]?.payload).toMatchObject({ code: 'unavailable' });
    harness.clock.advance(10_000);
    expect(await pings(client, 20)).toBe(7);
    plan = { tenant: { id: 'one', maxConnections: 1 } };
    expect(welcomed(await harness.greet('user:b'))).toBe(true);
    plan = { tenant: { id: 'two', maxConnections: 1 } };
    expect(welcomed(await harness.greet('user:c'))).toBe(false);
  });
});
