import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Authentication } from '../../../lib/core/ports/identity.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

// A list takes a byte of MessagePack, or three of JSON, and 48 of memory: what is bounded is the memory.
const KB = 1_024;
const WIDE = { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 1e6, bytesPerSecond: 1e9 };
/** 3 KB of JSON, 51 KB of memory. */
const LISTS = Array.from({ length: 1_000 }, () => []);

let server: WireServer;
let clock: ManualClock;
/** Ends what handlers of the application wait for, the first first. */
let open: ((error?: Error) => void)[];
beforeEach(() => {
  open = [];
});
afterEach(() => server.close());

async function start(settings: WireSettings = {}): Promise<void> {
  clock = new ManualClock();
  const wait = (): Promise<unknown> =>
    new Promise((resolve, reject) =>
      open.push((error) => (error === undefined ? resolve(null) : reject(error))),
    );
  server = await startWireServer({
    clock,
    settings: { ...settings, limits: { ...WIDE, ...settings.limits } },
    requests: new Map([
      ['wait', { authorize: 'public', handle: wait }],
      ['now', { authorize: 'public', handle: () => null }],
      [
        'throw',
        {
          authorize: 'public',
          handle: () => {
            throw new Error('no');
          },
        },
      ],
    ]),
    channels: [
      wireChannel('rooms.:room', { publish: ['said'] }),
      // Kept, as it is asked again with them.
      wireChannel('leased.:room', { behaviour: { authorize: { subscribe: () => ({ forMs: 60_000 }) } } }),
    ],
    authenticator: {
      authenticate: ({ token }) =>
        String(token).startsWith('slow')
          ? new Promise<Authentication>((resolve) =>
              open.push(() => resolve({ user: { id: String(token) } })),
            )
          : { user: { id: String(token) } },
    },
  });
}

const request = (id: string, event = 'wait') => ({ type: 'request', id, event, payload: LISTS });
const codeOf = (client: WireClient) => client.next('error').then(({ payload }) => payload['code']);

/** The handler that runs holds all that its client may hold, and gives it back when it ends. */
async function expectHeldUntilEnd(client: WireClient): Promise<void> {
  client.send(request('r2'));
  expect(await codeOf(client)).toBe('rate_limited');
  open.splice(0)[0]?.();
  await server.rest(client);
  client.send(request('r3'));
  await until('the handler', () => open.length === 1);
  open[0]?.();
  await client.next('reply');
}

describe('the memory of commands that are parsed (G16)', () => {
  it('of those that run, one client may hold an eighth of maxWaitingCommandBytes on all its connections; what is given back makes room', async () => {
    await start({ limits: { maxWaitingCommandBytes: 8 * 115 * KB } });
    const [first, second, bob] = await Promise.all([
      server.connect('ada'),
      server.connect('ada'),
      server.connect('bob'),
    ]);
    first.send(request('r1'));
    second.send(request('r2'));
    await until('two handlers', () => open.length === 2);
    second.send(request('r3'));
    expect(await second.next('error')).toMatchObject({
      ref: 'r3',
      payload: { code: 'rate_limited', retryAfterMs: 1_000 },
    });
    second.send({ ...request('small'), payload: [] });
    bob.send(request('r1'));
    await until('the handlers of a small one and of another client', () => open.length === 4);
    for (const end of open.splice(0)) end();
    await Promise.all([first.next('reply'), second.nextAll(2, 'reply'), bob.next('reply')]);
    for (let round = 0; round < 3; round++) {
      second.send(request('r4'));
      await until('the handler', () => open.length === 1);
      open.splice(0)[0]?.(round === 1 ? new Error('fails') : undefined);
      await second.next(round === 1 ? 'error' : 'reply');
    }
  });

  it('small ones that run are bounded together too', async () => {
    await start({ limits: { maxWaitingCommandBytes: 8 * 40 * KB } });
    const clients = await Promise.all([server.connect('ada'), server.connect('ada')]);
    const small = (id: string) => ({ ...request(id), payload: 1 });
    for (const client of clients)
      client.sendAll(Array.from({ length: 10 }, (_, index) => small(`r${index}`)));
    const refused = await clients[1]?.next('error');
    expect(refused?.payload['code']).toBe('rate_limited');
    expect(open.length).toBeGreaterThanOrEqual(10);
    expect(open.length).toBeLessThan(14);
    for (const end of open.splice(0)) end();
    await clients[0]?.nextAll(10, 'reply');
  });

  it('what runs at once, or throws, holds nothing afterwards', async () => {
    await start({ limits: { maxWaitingCommandBytes: 8 * 60 * KB } });
    const client = await server.connect('ada');
    for (let round = 0; round < 3; round++) {
      client.send(request('r', 'now'));
      await client.next('reply');
      client.send(request('r', 'throw'));
      expect(await codeOf(client)).toBe('internal');
    }
  });

  it('a closed connection holds what its handlers hold, until they end', async () => {
    await start({ limits: { maxWaitingCommandBytes: 8 * 60 * KB } });
    const gone = await server.connect('ada');
    gone.send(request('r1'));
    await until('the handler', () => open.length === 1);
    gone.terminate();
    const client = await server.connect('ada');
    await server.rest(client);
    await expectHeldUntilEnd(client);
  });

  it('a handler that was given up holds what it was given, until it ends', async () => {
    await start({ handlerTimeoutMs: 300, limits: { maxWaitingCommandBytes: 8 * 60 * KB } });
    const client = await server.connect('ada');
    client.send(request('r1'));
    await until('the handler', () => open.length === 1);
    clock.advance(300);
    expect(await codeOf(client)).toBe('outcome_unknown');
    await expectHeldUntilEnd(client);
  });

  it('a handler of a closed connection is counted in the same way', async () => {
    await start({ handlerTimeoutMs: 300, limits: { maxWaitingCommandBytes: 8 * 60 * KB } });
    const gone = await server.connect('ada');
    gone.send(request('r1'));
    await until('the handler', () => open.length === 1);
    gone.terminate();
    const client = await server.connect('ada');
    await until('the end of the other', () => server.engine.status.sessions === 1);
    clock.advance(300);
    await expectHeldUntilEnd(client);
  });

  it('those that wait are bounded by their memory: of the connection, and of its client', async () => {
    await start({ limits: { maxInFlight: 1, maxQueuedBytes: 110 * KB } });
    const client = await server.connect('ada');
    client.sendAll([{ ...request('r0'), payload: 1 }, request('r1'), request('r2'), request('r3')]);
    expect((await client.next('error')).ref).toBe('r3');
    for (const id of ['r0', 'r1', 'r2']) {
      await until('the handler', () => open.length === 1);
      open.splice(0)[0]?.();
      expect((await client.next('reply')).ref).toBe(id);
    }
  });

  it('MessagePack counts the same', async () => {
    await start({ limits: { maxWaitingCommandBytes: 8 * 60 * KB } });
    const client = await server.connect('ada', { protocols: ['realtime.v1.msgpack'] });
    client.send(request('r1'));
    await until('the handler', () => open.length === 1);
    client.send(request('r2'));
    expect(await codeOf(client)).toBe('rate_limited');
    open[0]?.();
    await client.next('reply');
  });

  it('before welcome nothing is parsed: what is no message ends the connection only then', async () => {
    await start();
    const client = await server.open();
    client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'slow ada' } });
    await until('the verification', () => open.length === 1);
    client.send('no JSON');
    await server.rest(await server.open());
    expect(client.ended).toBeUndefined();
    open[0]?.();
    expect(await client.expectClose()).toMatchObject({ code: 4805 });
    expect(client.received.map(({ type }) => type)).toEqual(['welcome']);
  });

  it('to parse costs of the bytes a second, an eighth of the memory that is made', async () => {
    await start({ limits: { bytesPerSecond: 10_000 } });
    const client = await server.connect('ada');
    for (let index = 0; index < 3; index++) {
      client.send(request('r', 'now'));
      await client.next('reply');
    }
    client.send(request('r', 'now'));
    expect(await codeOf(client)).toBe('rate_limited');
    clock.advance(2_000);
    client.send(request('r', 'now'));
    await client.next('reply');
  });

  it('a message that makes more than comes at once is admitted all the same, alone', async () => {
    await start({ limits: { bytesPerSecond: 16_384 } });
    const client = await server.connect('ada');
    clock.advance(2_000);
    client.send({ ...request('r', 'now'), payload: Array.from({ length: 10_000 }, () => []) });
    await client.next('reply');
    client.send(request('r', 'now'));
    expect(await codeOf(client)).toBe('rate_limited');
  });

  it('the parameters of a subscribe are kept as what they take', async () => {
    await start({ limits: { maxRetainedBytes: 40 * KB } });
    const client = await server.connect('ada');
    const subscribe = (room: number) => ({
      type: 'subscribe',
      id: `s${room}`,
      channel: `leased.${room}`,
      payload: { params: { lists: LISTS.slice(0, 350) } },
    });
    await client.reply(subscribe(1));
    await client.reply(subscribe(2));
    expect((await client.error(subscribe(3))).code).toBe('rate_limited');
    await client.reply({ type: 'unsubscribe', id: 'u', channel: 'leased.1' });
    await client.reply(subscribe(3));
  });
});
