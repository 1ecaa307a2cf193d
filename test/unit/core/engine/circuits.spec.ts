import { afterEach, describe, expect, it } from '@jest/globals';
import type { ChannelBehaviour } from '../../../../lib/core/ports/channel-definition.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const settings = {
  circuits: { ...ENGINE_DEFAULTS.circuits, failures: 3, clients: 3 },
  handlerTimeoutMs: 1_000,
};
let ids = 0;

async function start(
  behaviour: Partial<ChannelBehaviour>,
  warnings: string[] = [],
): Promise<FakeConnection[]> {
  const requests = new Map([
    ['sum', { authorize: 'public' as const, handle: () => Promise.reject(new Error('away')) }],
  ]);
  const definition = channel('rooms.:room', { behaviour });
  harness = await EngineHarness.start([definition], { settings, warnings, requests });
  return Promise.all(['a', 'b', 'c', 'd'].map((user) => harness.greet(`user:${user}`)));
}

async function answer(client: FakeConnection | undefined, command: object): Promise<Record<string, unknown>> {
  const id = `q${++ids}`;
  client?.take();
  client?.send({ id, channel: 'rooms.1', event: 'said', payload: 1, ...command });
  await quiet();
  const found = client?.take().find(({ ref }) => ref === id);
  return { type: found?.type, ...(found?.payload as object) };
}

const refused = { type: 'error', code: 'rate_limited', reason: 'circuit_open', retryable: true };

describe('circuits of the handlers of an engine (G16, P18)', () => {
  it('a publish whose handler keeps failing is refused with the time to come back, and other channels are not', async () => {
    const warnings: string[] = [];
    let calls = 0;
    const publish = new Map([
      [
        'said',
        () => {
          calls++;
          throw new Error('away');
        },
      ],
      ['other', undefined],
    ]);
    const clients = await start({ publish }, warnings);
    for (const client of clients.slice(0, 3))
      expect(await answer(client, { type: 'publish' })).toMatchObject({ code: 'internal' });
    const last = await answer(clients[3], { type: 'publish' });
    expect(last).toMatchObject(refused);
    expect(last['retryAfterMs']).toBeGreaterThanOrEqual(5_000);
    expect(calls).toBe(3);
    expect(await answer(clients[3], { type: 'publish', event: 'other' })).toMatchObject({ type: 'reply' });
    expect(warnings).toEqual([
      expect.stringContaining('The handler of the publish "said" of rooms.:room keeps failing'),
    ]);
  });

  it('a handler that has no answer in time counts, and the publish that is sent again does not run it', async () => {
    let calls = 0;
    const publish = new Map([['said', () => (++calls, new Promise<never>(() => undefined))]]);
    const clients = await start({ publish });
    const sent = clients.slice(0, 3).map((client) => answer(client, { type: 'publish' }));
    await quiet();
    harness.clock.advance(1_000);
    await Promise.all(sent);
    expect(await answer(clients[0], { type: 'publish' })).toMatchObject(refused);
    expect(calls).toBe(3);
  });

  it('a request is refused as one that was not handled', async () => {
    const clients = await start({});
    const request = { type: 'request', channel: undefined, event: 'sum' };
    for (const client of clients.slice(0, 3))
      expect(await answer(client, request)).toMatchObject({ code: 'internal' });
    expect(await answer(clients[3], request)).toMatchObject(refused);
  });

  it('an authorization that keeps failing refuses for the moment, and grants nothing', async () => {
    let calls = 0;
    const behaviour = {
      authorize: {
        subscribe: () => {
          calls++;
          throw new Error('away');
        },
      },
    };
    const clients = await start(behaviour);
    for (const client of clients.slice(0, 3))
      expect(await answer(client, { type: 'subscribe', payload: {} })).not.toHaveProperty('reason');
    expect(await answer(clients[3], { type: 'subscribe', payload: {} })).toMatchObject({
      ...refused,
      code: 'unavailable',
    });
    expect(calls).toBe(3);
  });

  it('handlers that only refuse are called every time', async () => {
    let calls = 0;
    const publish = new Map([
      [
        'said',
        () => {
          calls++;
          throw new RealtimeError('room_full');
        },
      ],
    ]);
    const clients = await start({ publish });
    for (let round = 0; round < 5; round++)
      for (const client of clients)
        expect(await answer(client, { type: 'publish' })).toMatchObject({
          code: 'refused',
          reason: 'room_full',
        });
    expect(calls).toBe(20);
  });
});
