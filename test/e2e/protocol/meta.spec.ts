import { encode, ExtData } from '@msgpack/msgpack';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

let server: WireServer;
afterEach(() => server.close());

const JSON_CODEC = ['realtime.v1.json'];
const MSGPACK = ['realtime.v1.msgpack'];

async function start(expiresAt?: (clock: ManualClock) => number): Promise<ManualClock> {
  const clock = new ManualClock();
  server = await startWireServer({
    clock,
    channels: [
      wireChannel('rooms.:room', {
        publish: ['said'],
        signals: ['typing'],
        presence: true,
        behaviour: { authorize: { signal: 'public' } },
      }),
    ],
    authenticator: {
      authenticate: ({ token }) => ({
        user: { id: token ?? '' },
        ...(expiresAt === undefined ? {} : { expiresAt: expiresAt(clock) }),
      }),
    },
  });
  return clock;
}

const COMMANDS: readonly Record<string, unknown>[] = [
  { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 },
  { type: 'signal', channel: 'rooms.1', event: 'typing' },
  { type: 'request', event: 'ask' },
  { type: 'subscribe', channel: 'rooms.2', payload: {} },
  { type: 'history', channel: 'rooms.1', payload: {} },
  { type: 'presence', channel: 'rooms.1', payload: {} },
  { type: 'ping' },
];

/** What is no object, as each codec can write it. */
const NOT_OBJECTS: readonly [string, readonly string[], unknown][] = [
  ['bytes', JSON_CODEC, { $bytes: 'aGk=' }],
  ['a list', JSON_CODEC, []],
  ['a text', JSON_CODEC, 'x'],
  ['null', JSON_CODEC, null],
  ['a number', JSON_CODEC, 7],
  ['bytes', MSGPACK, Uint8Array.of(1, 2)],
  ['a time', MSGPACK, new Date(0)],
  ['a list', MSGPACK, [1]],
  ['null', MSGPACK, null],
  ['true', MSGPACK, true],
];

describe('meta that is no object (P5b)', () => {
  it.each(NOT_OBJECTS)(
    'is bad_request in every command, with its path: %s in %j',
    async (_what, protocols, meta) => {
      await start();
      const client = await server.connect('ada', { protocols });
      await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
      for (const command of COMMANDS) {
        const error = await client.error({ ...command, meta });
        expect([command['type'], error]).toMatchObject([
          command['type'],
          { code: 'bad_request', details: [{ path: 'meta', message: 'must be an object' }] },
        ]);
      }
    },
  );

  it('is refused where the codec has a value that nobody reads', async () => {
    await start();
    const client = await server.connect('ada', { protocols: MSGPACK });
    client.send(encode({ type: 'ping', id: 'p', meta: new ExtData(42, Uint8Array.of(1)) }));
    await client.expectClose(4805);
  });

  it.each<[string, unknown]>([
    ['a Date', new Date(0)],
    ['what turns itself into a text', { toJSON: () => 'x' }],
    ['what turns itself into a list', { toJSON: () => [1] }],
    ['what turns itself into null', { toJSON: () => null }],
    ['bytes', Buffer.from('x')],
    ['a list', [1]],
  ])('is bad_request from the application: %s', async (_what, meta) => {
    await start();
    const { application } = server.engine;
    const publish = async () =>
      application.publish('rooms.1', 'said', 1, { meta: meta as Record<string, unknown> });
    await expect(publish()).rejects.toMatchObject({ code: 'bad_request', message: 'meta must be an object' });
    const { events } = await application.history('rooms.1', {});
    expect(events).toEqual([]);
  });

  it('is an object for all where it is one', async () => {
    await start();
    const clients: WireClient[] = [];
    for (const protocols of [JSON_CODEC, MSGPACK]) {
      const client = await server.connect('ada', { protocols });
      await client.call({ type: 'subscribe', channel: 'rooms.1', payload: { presence: false } });
      clients.push(client);
    }
    await server.engine.application.publish('rooms.1', 'said', 1, {
      meta: { at: new Date(0), nothing: undefined },
    });
    for (const client of clients)
      expect((await client.next('event')).meta).toEqual({ at: '1970-01-01T00:00:00.000Z' });
  });
});

describe('tokenExpiresInMs (G12)', () => {
  it.each<[string, ((clock: ManualClock) => number) | undefined, unknown]>([
    ['left out', undefined, undefined],
    ['never', () => Infinity, undefined],
    ['in a while', (clock) => clock.now() + 60_000, 60_000],
    ['a fraction', (clock) => clock.now() + 60_000.75, 60_000],
    ['long past', () => 0, 0],
    ['for ever in the past', () => -Infinity, 0],
    ['nearly never', () => Number.MAX_VALUE, expect.any(Number)],
  ])(
    'is a number or absent, in welcome and the answer to auth, in every codec: %s',
    async (_what, expiresAt, expected) => {
      await start(expiresAt);
      for (const protocols of [JSON_CODEC, MSGPACK]) {
        const client = await server.open({ protocols });
        client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'ada' } });
        const { payload } = await client.next('welcome');
        expect(payload['tokenExpiresInMs']).toEqual(expected);
        expect('tokenExpiresInMs' in payload).toBe(expected !== undefined);
        const answer = await client.call({ type: 'auth', payload: { token: 'ada' } });
        expect(answer.payload['expiresInMs']).toEqual(expected);
        expect('expiresInMs' in answer.payload).toBe(expected !== undefined);
      }
    },
  );
});

describe('a cursor that no page gave (P5)', () => {
  it.each<[string, Record<string, unknown>]>([
    ['presence', { cursor: 'zzz' }],
    ['presence', { cursor: '-1' }],
    ['presence', { cursor: '0' }],
    ['presence', { cursor: '' }],
    ['presence', { cursor: 7 }],
    ['history', { from: -1 }],
    ['history', { from: 1.5 }],
    ['history', { until: '7' }],
    ['history', { from: 2 ** 53 }],
    ['history', { epoch: '' }],
    ['history', { epoch: 7 }],
  ])('is bad_request: %s with %j', async (type, payload) => {
    await start();
    const client = await server.connect('ada');
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    for (let time = 1; time <= 2; time++)
      expect((await client.error({ type, channel: 'rooms.1', payload })).code).toBe('bad_request');
  });

  it('is bad_request for the application too', async () => {
    await start();
    await expect(server.engine.application.members('rooms.1', { cursor: 'zzz' })).rejects.toMatchObject({
      code: 'bad_request',
    });
  });
});
