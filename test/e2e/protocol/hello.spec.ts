import { afterEach, describe, expect, it } from '@jest/globals';
import type { ErrorCode } from '../../../lib/protocol/error-codes.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import {
  nameAuthenticator,
  startWireServer,
  type WireServer,
  type WireServerOptions,
} from '../../support/wire/server.js';

const JSON_V1 = 'realtime.v1.json';
const MSGPACK_V1 = 'realtime.v1.msgpack';
const ROOMS = wireChannel('rooms.:room', { publish: ['said'] });

let server: WireServer;
afterEach(() => server.close());

async function start(options: WireServerOptions = {}): Promise<WireServer> {
  server = await startWireServer({ channels: [ROOMS], ...options });
  return server;
}

describe.each([JSON_V1, MSGPACK_V1])('hello as the first message, over %s (P3)', (protocol) => {
  const open = () => server.open({ protocols: [protocol] });

  it.each([
    ['another command', { type: 'ping', id: 'p1' }],
    ['an unknown command', { type: 'shout', id: 'p1' }],
    ['a hello without versions', { type: 'hello', id: 'h1', payload: {} }],
    ['a hello without id', { type: 'hello', payload: { versions: [1] } }],
    ['a value that is not an object', 7 as unknown as Record<string, unknown>],
  ])('%s as the first message closes with 4805, and is not answered (P3a)', async (_, envelope) => {
    await start();
    const client = await open();
    client.sendAll([envelope]);
    await client.expectClose(4805);
    expect(client.received).toEqual([]);
  });

  it('no common protocol revision closes with 4804 (P3b)', async () => {
    await start();
    const client = await open();
    client.send({ type: 'hello', id: 'h1', payload: { versions: [0, 2, 3], token: 'ada' } });
    await client.expectClose(4804);
  });

  it('one common protocol revision is enough (P3b)', async () => {
    await start();
    const client = await open();
    expect((await client.hello('ada', { versions: [3, 2, 1] })).version).toBe(1);
  });

  it('commands after hello wait for welcome and are answered in order (P3)', async () => {
    let verify = (): void => undefined;
    const verified = new Promise<void>((resolve) => (verify = resolve));
    const inner = nameAuthenticator(new ManualClock());
    await start({
      authenticator: {
        async authenticate(credentials) {
          await verified;
          return await inner.authenticate(credentials);
        },
      },
    });
    const client = await open();
    client.sendAll([
      { type: 'hello', id: 'h1', payload: { versions: [1], token: 'ada' } },
      { type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 1 },
      { type: 'publish', id: 'p2', channel: 'rooms.1', event: 'said', payload: 2 },
    ]);
    client.send({ type: 'publish', id: 'p3', channel: 'rooms.1', event: 'said', payload: 3 });
    await until('the session', () => server.engine.status.sessions === 1);
    verify();
    expect((await client.next('welcome')).ref).toBe('h1');
    for (const [index, ref] of ['p1', 'p2', 'p3'].entries()) {
      expect(await client.next('reply')).toMatchObject({ ref, payload: { seq: index + 1 } });
    }
  });

  it('a command after hello that is refused is answered after welcome (P3)', async () => {
    let admit: (() => void) | undefined;
    await start({
      authenticator: {
        authenticate: () => new Promise((resolve) => (admit = () => resolve({ user: { id: 'ada' } }))),
      },
    });
    const client = await open();
    client.sendAll([
      { type: 'hello', id: 'h1', payload: { versions: [1], token: 'ada' } },
      { type: 'ping', id: 'p1' },
      { type: 'subscribe', id: 's1', channel: 'rooms.1', payload: { position: { epoch: 'e' } } },
      { type: 'ping', id: 'p2' },
    ]);
    await until('the token to be looked at', () => admit !== undefined);
    admit?.();
    await until('the answers', () => client.received.length === 4);
    expect(client.received.map(({ type, ref }) => [type, ref])).toEqual([
      ['welcome', 'h1'],
      // The connection lane goes first (P24).
      ['pong', 'p1'],
      ['pong', 'p2'],
      ['error', 's1'],
    ]);
  });

  it('commands that wait for welcome are bounded: one more closes with 4805 once they are read (P3c)', async () => {
    let admit = (): void => undefined;
    await start({
      onConnect: () => new Promise<void>((resolve) => (admit = resolve)),
      settings: { limits: { maxEnvelopesPerFrame: 8 } },
    });
    const client = await open();
    client.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'ada' } });
    const pings = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ type: 'ping', id: `p${index}` }));
    client.sendAll(pings(8));
    client.sendAll(pings(1));
    await server.rest(await server.open());
    expect(client.received).toEqual([]);
    admit();
    await client.expectClose(4805);
    expect(client.received.map(({ type }) => type)).toEqual(['welcome', ...pings(8).map(() => 'pong')]);
  });

  it('frames that wait for welcome are bounded: one more closes with 4805 at once (P3c)', async () => {
    await start({
      authenticator: { authenticate: () => new Promise(() => undefined) },
      settings: { limits: { maxEnvelopesPerFrame: 8 } },
    });
    const client = await open();
    client.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'ada' } });
    for (let index = 0; index < 8; index++) client.send({ type: 'ping', id: `p${index}` });
    await server.rest(await server.open());
    expect(client.ended).toBeUndefined();
    client.send({ type: 'ping', id: 'p8' });
    await client.expectClose(4805);
    expect(client.received).toEqual([]);
  });

  it('the frame of hello has at most maxMessageBytes, those behind it maxFrameBytes (P3c)', async () => {
    const limits = { maxMessageBytes: 2_000, maxFrameBytes: 8_000 };
    await start({ settings: { limits } });
    const hello = { type: 'hello', id: 'h1', payload: { versions: [1], token: 'ada' } };
    const ping = (id: string) => ({ type: 'ping', id, meta: { pad: 'x'.repeat(1_000) } });
    const eager = await open();
    eager.sendAll([hello, ping('p1'), ping('p2')]);
    await eager.expectClose(4806);
    expect(eager.received).toEqual([]);
    const client = await open();
    client.sendAll([hello, ping('p1')]);
    client.sendAll([ping('p2'), ping('p3'), ping('p4')]);
    await client.next('welcome');
    await client.nextAll(4, 'pong');
  });

  it('a second hello is answered with bad_request, and the connection stays open (P3g)', async () => {
    await start();
    const client = await server.connect('ada', { protocols: [protocol] });
    const again = await client.error({ type: 'hello', payload: { versions: [1], token: 'eve' } });
    expect(again.code).toBe('bad_request');
    expect((await client.call({ type: 'ping' })).type).toBe('pong');
  });
});

describe('time limits and refusals of hello (P3)', () => {
  it('no hello within helloTimeout closes with 4805, and not earlier (P3a)', async () => {
    const clock = new ManualClock();
    await start({ clock });
    const client = await server.open();
    await until('the session', () => server.engine.status.sessions === 1);
    clock.advance(9_700);
    expect(server.engine.status.sessions).toBe(1);
    clock.advance(600);
    await client.expectClose(4805);
  });

  it('an authentication that takes longer than helloTimeout closes with 4005 (P3d)', async () => {
    const clock = new ManualClock();
    let asked = false;
    await start({
      clock,
      authenticator: { authenticate: () => ((asked = true), new Promise(() => undefined)) },
    });
    const client = await server.open();
    client.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'ada' } });
    await until('the authenticator to be asked', () => asked);
    clock.advance(10_300);
    await client.expectClose(4005);
  });

  it.each<[ErrorCode, number]>([
    ['unauthorized', 4801],
    ['token_expired', 4008],
    ['forbidden', 4802],
    ['banned', 4803],
    ['bad_request', 4805],
    ['unavailable', 4007],
    ['rate_limited', 4006],
    ['internal', 4005],
  ])(
    'a hello that is refused with %s is answered with that code, then closed with %i (P3e)',
    async (code, close) => {
      await start({
        onConnect: () => {
          throw new RealtimeError(code, 'No', { retryAfterMs: 1_500 });
        },
      });
      const client = await server.open();
      const error = await client.error({ type: 'hello', payload: { versions: [1], token: 'ada' } });
      expect(error).toMatchObject({ code, retryAfterMs: 1_500 });
      expect((await client.expectClose(close)).reason).toMatch(/^[a-z_]+\|1500$/);
      await until('the session to end', () => server.engine.status.sessions === 0);
    },
  );

  it('a connect guard that returns false refuses hello as forbidden (P3e)', async () => {
    await start({ onConnect: () => false });
    const client = await server.open();
    expect((await client.error({ type: 'hello', payload: { versions: [1], token: 'ada' } })).code).toBe(
      'forbidden',
    );
    await client.expectClose(4802);
  });

  it('a token in hello must have the user of the upgrade’s token (P3f)', async () => {
    await start();
    const same = await server.open({ protocols: [JSON_V1, 'bearer.ada'] });
    expect((await same.hello('ada+60000')).tokenExpiresInMs).toBeGreaterThan(50_000);
    const other = await server.open({ protocols: [JSON_V1, 'bearer.ada'] });
    expect((await other.error({ type: 'hello', payload: { versions: [1], token: 'eve' } })).code).toBe(
      'forbidden',
    );
    await other.expectClose(4802);
  });
});
