import { afterEach, describe, expect, it } from '@jest/globals';
import type { Session } from '../../../../lib/core/session/session.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import { weightOf } from '../../../../lib/core/ports/value-weight.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const OFF = { ratePerSecond: 1e9, burst: 1e9, userRatePerSecond: 0, bytesPerSecond: 1e12 };
const sessions = (): readonly Session[] => harness.engine['parts'].sessions.list();
const only = (): Session => sessions()[0] as Session;

/** What a session must count, made up from what it holds. */
function recount(session: Session): number {
  return session.channels
    .list()
    .map(({ name, call, presence }) => 512 + name.length + weightOf(call.payload) + weightOf(presence?.data))
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Whether `wanted` can be reached from a value. */
function reaches(from: unknown, wanted: unknown, depth = 6): boolean {
  if (from === wanted) return true;
  if (depth === 0 || typeof from !== 'object' || from === null) return false;
  return Object.values(from).some((value) => reaches(value, wanted, depth - 1));
}

describe('the parameters of a subscribe', () => {
  it.each([
    ['params', { params: { note: 'x'.repeat(5_000) } }, 'payload.params'],
    ['presence data', { presence: { data: 'x'.repeat(5_000) } }, 'payload.presence.data'],
  ])('%s above the limit are refused with their path and the remedy', async (_what, payload, path) => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { presence: {} } })]);
    const client = await harness.greet('user:ada');
    client.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload });
    await quiet();
    const [error] = client.take('error');
    expect(error?.payload).toMatchObject({ code: 'message_too_large', retryable: false });
    expect(error?.payload).toMatchObject({ details: [{ path, message: expect.stringMatching(/4096/) }] });
    expect([only()['retained'], only().channels.size]).toEqual([0, 0]);
  });

  it.each([
    [4_094, 'reply'],
    [4_095, 'error'],
  ])('a text of %i bytes is answered with %s: quotation marks count', async (length, type) => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { presence: {} } })]);
    const client = await harness.greet('user:ada');
    client.send({
      type: 'subscribe',
      id: 's',
      channel: 'rooms.1',
      payload: { presence: { data: 'x'.repeat(length) } },
    });
    await quiet();
    expect(client.take().map((answer) => answer.type)).toContain(type);
  });

  it.each(['sync', 'async'])(
    'are released when the %s handlers of a public channel ran, with everything of the command',
    async (form) => {
      const seen: unknown[] = [];
      const note = (call: HandlerCall): void | Promise<void> => {
        seen.push(call.payload);
        return form === 'sync' ? undefined : Promise.resolve();
      };
      harness = await EngineHarness.start([
        channel('rooms.:room', { behaviour: { onSubscribe: note, onUnsubscribe: note } }),
      ]);
      const client = await harness.greet('user:ada');
      const meta = { trace: 'm'.repeat(100) };
      const params = { secret: 'p' };
      client.send({ type: 'subscribe', id: 's', channel: 'rooms.1', meta, payload: { params } });
      await quiet();
      const subscription = only().channels.get('rooms.1');
      expect(seen).toEqual([params]);
      expect(reaches(subscription?.call, seen[0])).toBe(false);
      expect(subscription?.call).toMatchObject({
        channel: 'rooms.1',
        params: { room: '1' },
        payload: undefined,
      });
      expect(subscription?.call.meta).toBeUndefined();
      expect(only()['retained']).toBe(512 + 'rooms.1'.length);
      client.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.1' });
      await quiet();
      expect(seen).toEqual([params, undefined]);
      expect(only()['retained']).toBe(0);
    },
  );

  it('are kept, and counted, for an authorization that is asked again (G11)', async () => {
    const asked: unknown[] = [];
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: { authorize: { subscribe: ({ payload }) => (asked.push(payload), { forMs: 1_000 }) } },
      }),
    ]);
    const client = await harness.greet('user:ada');
    const params = { door: 7 };
    client.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { params } });
    await quiet();
    await harness.clock.advanceAsync(1_100);
    expect(asked).toEqual([params, params]);
    expect(only()['retained']).toBe(512 + 'rooms.1'.length + weightOf(params));
  });
});

describe('what is kept for a connection', () => {
  it('is refused above the budget, temporarily, and admitted again when something ended', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { maxRetainedBytes: 1_100 } },
    });
    const client = await harness.greet('user:ada');
    for (const name of ['1', '2', '3'])
      client.send({ type: 'subscribe', id: name, channel: `rooms.${name}` });
    await quiet();
    const [error] = client.take('error');
    expect(error).toMatchObject({
      ref: '3',
      payload: { code: 'rate_limited', retryable: true, retryAfterMs: 2_000 },
    });
    client.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.1' });
    client.send({ type: 'subscribe', id: '3', channel: 'rooms.3' });
    await quiet();
    expect(client.take('reply').map(({ ref }) => ref)).toEqual(['u', '3']);
  });

  it.each([
    ['user', 'user:ada'],
    ['address of anonymous clients', undefined],
  ])('is counted over all connections of one %s, and given back by a close', async (_whose, token) => {
    harness = await EngineHarness.start([channel('rooms.:room'), channel('shared.:room')], {
      settings: { limits: { maxRetainedBytesPerUser: 1_100 } },
    });
    const clients = [await harness.subscriber('rooms.1', token), await harness.subscriber('rooms.1', token)];
    const third = await harness.greet(token);
    // Each anonymous connection has a share of its own, and nothing beyond it then.
    const own = token === undefined ? Math.floor((16 * 1024) / (512 + 'shared.00'.length)) : 0;
    for (let index = 0; index < own; index++)
      third.send({ type: 'subscribe', id: 'o', channel: `shared.${String(index).padStart(2, '0')}` });
    await quiet();
    expect(third.take('error')).toEqual([]);
    third.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    expect(third.take('error')).toMatchObject([{ payload: { code: 'rate_limited' } }]);
    const other = await harness.greet('user:eve');
    other.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    clients[0]?.drop();
    for (let index = 0; index < own; index++)
      third.send({ type: 'unsubscribe', id: 'u', channel: `shared.${String(index).padStart(2, '0')}` });
    third.send({ type: 'subscribe', id: 't', channel: 'rooms.1' });
    await quiet();
    expect([other.take('error'), third.take('error')]).toEqual([[], []]);
  });

  it.each(['sync', 'async'])('is given back by a subscribe that fails late (%s)', async (form) => {
    const fail = (): never => {
      throw new RealtimeError('forbidden');
    };
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: { snapshot: { shareable: false, run: form === 'sync' ? fail : async () => fail() } },
      }),
      channel('halls.:hall', {
        behaviour: { authorize: { subscribe: form === 'sync' ? fail : async () => fail() } },
      }),
    ]);
    const client = await harness.greet('user:ada');
    for (const name of ['rooms.1', 'halls.1', 'rooms.1', 'halls.1'])
      client.send({ type: 'subscribe', id: name, channel: name, payload: { params: { x: 1 } } });
    await quiet();
    expect(client.take('error').length).toBeGreaterThan(2);
    expect([only()['retained'], harness.engine['parts'].retained.of('ada')]).toEqual([0, 0]);
  });

  it('is what a recount gives, whatever a client does (seeded)', async () => {
    const guarded = channel('halls.:hall', {
      policy: { presence: {} },
      behaviour: {
        authorize: { subscribe: ({ payload }) => (payload as { no?: boolean } | undefined)?.no !== true },
      },
    });
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { presence: {} } }), guarded], {
      settings: { limits: { ...OFF, maxRetainedBytes: 6_000, maxRetainedBytesPerUser: 14_000 } },
    });
    const random = new SeededEntropy(11);
    let clients = await Promise.all([0, 1, 2].map(() => harness.greet('user:ada')));
    for (let step = 0; step < 400; step++) {
      const client = clients[random.int(3)];
      const name = `${random.int(2) === 0 ? 'rooms' : 'halls'}.${random.int(6)}`;
      const data = 'd'.repeat(random.int(1_000));
      const params = { p: 'p'.repeat(random.int(800)), ...(random.int(6) === 0 ? { no: true } : {}) };
      const act = random.int(10);
      if (act < 5)
        client?.send({
          type: 'subscribe',
          id: `s${step}`,
          channel: name,
          payload: { params, presence: { data } },
        });
      else if (act < 7) client?.send({ type: 'unsubscribe', id: `u${step}`, channel: name });
      else if (act < 9)
        client?.send({ type: 'presence_update', id: `p${step}`, channel: name, payload: { data } });
      else if (random.int(6) === 0) {
        client?.drop();
        clients = [...clients.filter((one) => one !== client), await harness.greet('user:ada')];
      }
      if (random.int(2) === 0) await quiet();
      else continue;
      for (const session of sessions()) expect(session['retained']).toBe(recount(session));
      const total = sessions().reduce((sum, session) => sum + recount(session), 0);
      expect(harness.engine['parts'].retained.of('ada')).toBe(total);
      expect(total).toBeLessThanOrEqual(14_000);
    }
    for (const client of clients) client.drop();
    await quiet();
    expect(harness.engine['parts'].retained.size).toBe(0);
  });
});
