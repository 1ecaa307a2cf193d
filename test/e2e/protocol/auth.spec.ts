import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const MINUTE = 60_000;
const TICK = 250;

let server: WireServer;
let clock: ManualClock;
afterEach(() => server.close());

async function start(options: WireServerOptions = {}): Promise<void> {
  clock = new ManualClock();
  server = await startWireServer({
    clock,
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    settings: { heartbeat: { intervalMs: 100 * MINUTE, timeoutMs: 100 * MINUTE } },
    ...options,
  });
}

function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += TICK) clock.advance(Math.min(TICK, ms - passed));
}

describe('the expiry of a token (G12)', () => {
  it('auth_required is sent before the token expires; without an answer the connection closes with 4008 (G12)', async () => {
    await start();
    const client = await server.connect(`ada+${5 * MINUTE}`);
    expect(client.welcome?.tokenExpiresInMs).toBe(5 * MINUTE);
    pass(5 * MINUTE - 30_000 - TICK);
    await client.call({ type: 'ping' });
    expect(client.pending).toEqual([]);
    pass(2 * TICK);
    const { payload } = await client.next('auth_required');
    expect(payload['withinMs']).toBeGreaterThan(29_000);
    expect(payload['withinMs']).toBeLessThanOrEqual(30_000);
    pass(29_000);
    expect(server.engine.status.sessions).toBe(1);
    pass(1_000 + TICK);
    expect((await client.expectClose(4008)).reason).toBe('token_expired|0');
  });

  it('auth replaces the token, and keeps the connection and its subscriptions (G12)', async () => {
    await start();
    const client = await server.connect(`ada+${MINUTE}`);
    await client.subscribe('rooms.1');
    pass(31_000);
    await client.next('auth_required');
    expect(await client.reply({ type: 'auth', payload: { token: `ada+${10 * MINUTE}` } })).toEqual({
      expiresInMs: 10 * MINUTE,
    });
    pass(5 * MINUTE);
    await server.engine.application.publish('rooms.1', 'said', 'still here');
    expect((await client.next('event')).payload).toBe('still here');
    // A token without an end puts an end to asking.
    expect(await client.reply({ type: 'auth', payload: { token: 'ada' } })).toEqual({});
    pass(20 * MINUTE);
    expect((await client.call({ type: 'ping' })).type).toBe('pong');
  });

  it.each([
    ['of another user', 'eve+6000000', 'forbidden'],
    ['that is bad', 'bad', 'unauthorized'],
    ['that has expired', 'old', 'token_expired'],
  ])(
    'a new token %s is refused, and the old token stays in force until it expires (G12)',
    async (_, token, code) => {
      await start();
      const client = await server.connect(`ada+${2 * MINUTE}`);
      expect((await client.error({ type: 'auth', payload: { token } })).code).toBe(code);
      expect(await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said' })).toMatchObject({
        seq: 1,
      });
      expect((await server.engine.application.history('rooms.1')).events[0]?.user).toBe('ada');
      pass(2 * MINUTE + TICK);
      await client.take({ type: 'auth_required' });
      await client.expectClose(4008);
    },
  );

  it('a new token is requested at half its life if it expires sooner than the notice (G12)', async () => {
    await start();
    const client = await server.connect('ada+10000');
    pass(5_000 + 2 * TICK);
    expect((await client.next('auth_required')).payload['withinMs']).toBeGreaterThan(4_000);
    pass(5_000);
    await client.expectClose(4008);
  });

  it('a token of the upgrade expires too, and closes with 4008 if it expires before hello (G12)', async () => {
    await start();
    const client = await server.open({ protocols: ['realtime.v1.json', 'bearer.ada+10000'] });
    await client.hello();
    pass(10_000 + TICK);
    await client.expectClose(4008);
    const late = await server.open();
    expect((await late.error({ type: 'hello', payload: { versions: [1], token: 'old' } })).code).toBe(
      'token_expired',
    );
    await late.expectClose(4008);
  });
});

describe('Origin (G22)', () => {
  const cookie = { cookie: 'session=ada' };
  const transport = { cookie: { name: 'session' } };
  const refused = (headers: Record<string, string>) => WireClient.refused(server.url, { headers });

  it('a cookie counts only from pages of the same origin, and never without an Origin (G22, P18b)', async () => {
    await start({ transport });
    const host = new URL(server.httpUrl).host;
    for (const origin of ['https://evil.example', 'null', `http://${host}.evil.example`]) {
      // Answered as without the cookie: the page does not learn whether its visitor is logged in.
      const foreign = await server.open({ headers: { ...cookie, origin } });
      expect((await foreign.error({ type: 'hello', payload: { versions: [1] } })).code).toBe('unauthorized');
    }
    expect((await refused(cookie)).status).toBe(403);
    const client = await server.open({ headers: { ...cookie, origin: `http://${host}` } });
    expect((await client.hello()).user).toBe('ada');
  });

  it('the list of allowed origins applies to every upgrade with an Origin, whatever its credentials (G22)', async () => {
    await start({ transport: { ...transport, allowedOrigins: ['https://app.example.com'] } });
    expect((await refused({ origin: 'https://evil.example' })).status).toBe(403);
    expect((await refused({ ...cookie, origin: 'https://app.example.com.evil.example' })).status).toBe(403);
    const client = await server.open({ headers: { ...cookie, origin: 'https://app.example.com' } });
    expect((await client.hello()).user).toBe('ada');
  });

  it('a page of another origin may connect with its own token, but not as the user of the cookie (G22)', async () => {
    const seen: unknown[] = [];
    await start({
      transport,
      onConnect: ({ headers }) => {
        seen.push(headers.cookie);
      },
    });
    const client = await server.open({
      protocols: ['realtime.v1.json', 'bearer.eve'],
      headers: { ...cookie, origin: 'https://other.example' },
    });
    expect((await client.hello()).user).toBe('eve');
    expect(seen).toEqual([undefined]);
  });
});

describe('secrecy of tokens (G23)', () => {
  it('a token in the query is ignored unless that is enabled (G23)', async () => {
    await start();
    const client = await server.open({ query: '?token=ada&access_token=ada' });
    expect((await client.error({ type: 'hello', payload: { versions: [1] } })).code).toBe('unauthorized');
    await client.expectClose(4801);
  });

  it('an enabled token in the query authenticates, and is removed from the URL that the application gets (G23)', async () => {
    const urls: string[] = [];
    await start({ transport: { queryToken: 'token' }, onConnect: ({ url }) => void urls.push(url) });
    const client = await server.open({ query: '?token=ada&v=1' });
    expect((await client.hello()).user).toBe('ada');
    expect(urls).toEqual(['/realtime?token=redacted&v=1']);
    expect((await WireClient.refused(server.url, { query: '?token=bad' })).status).toBe(401);
  });

  it('no token, ticket or payload is logged, whatever fails (G23)', async () => {
    const TOKEN = 'ada-s3cr3t-t0ken';
    const PAYLOAD = 's3cr3t-payl0ad';
    await start({
      authenticator: {
        authenticate({ token }) {
          if (token === TOKEN) return { user: { id: 'ada' } };
          if (token?.includes('crash') === true) throw new Error('The verifier is broken');
          throw new RealtimeError('unauthorized');
        },
      },
      channels: [
        wireChannel('rooms.:room', {
          publish: ['said'],
          behaviour: {
            publish: new Map([
              [
                'said',
                () => {
                  throw new Error('The handler is broken');
                },
              ],
            ]),
            onSubscribe: () => Promise.reject(new Error('The hook is broken')),
          },
        }),
      ],
    });
    const client = await server.open();
    const { session } = await client.hello(TOKEN);
    await client.subscribe('rooms.1', { params: { secret: PAYLOAD } });
    await client.error({ type: 'publish', channel: 'rooms.1', event: 'said', payload: PAYLOAD });
    await client.error({ type: 'auth', payload: { token: `${TOKEN}-crash` } });
    await client.error({ type: 'auth', payload: { token: `${TOKEN}-bad` } });
    await client.error({ type: 'publish', channel: 'rooms..1', event: 'said', payload: PAYLOAD });
    const crash = await server.open();
    await crash.error({ type: 'hello', payload: { versions: [1], token: `${TOKEN}-crash`, session } });
    await WireClient.refused(server.url, { protocols: ['realtime.v1.json', `bearer.${TOKEN}-crash`] });
    const broken = await server.connect(TOKEN);
    broken.send(`{"type":"publish","payload":"${PAYLOAD}"`);
    await broken.expectClose(4805);
    await until(
      'the failures to be logged',
      () => server.records.filter(({ level }) => level === 'error').length >= 5,
    );
    const log = server.records
      .map(
        ({ level, message, error }) =>
          `${level} ${message} ${error instanceof Error ? error.stack : String(error)}`,
      )
      .join('\n');
    expect(log).toContain('The verifier is broken');
    expect(log).not.toContain(TOKEN);
    expect(log).not.toContain(PAYLOAD);
    expect(log).not.toContain(session);
  });
});

describe('size limits (G24)', () => {
  it('compression is off by default, and an offer of it is declined (G24)', async () => {
    await start();
    const client = await server.open({ compression: true });
    expect(client.socket.extensions).toBe('');
    expect((await client.hello('ada')).user).toBe('ada');
  });

  it('limits apply after decompression: a compressed bomb closes with 4806 (G24)', async () => {
    await start({ transport: { compression: {} }, settings: { limits: { maxFrameBytes: 100_000 } } });
    const client = await server.connect('ada', { compression: true });
    expect(client.socket.extensions).toContain('permessage-deflate');
    // A megabyte of blanks is a kilobyte on the wire.
    client.send(`{"type":"ping","id":"p1"${' '.repeat(1024 * 1024)}}`);
    await client.expectClose(4806);
  });

  it('a message above its own limit is refused before it is parsed, also within the limit of a frame (G24)', async () => {
    await start({ settings: { limits: { maxMessageBytes: 1_000 } } });
    const client = await server.connect('ada');
    // It is not JSON at all, which nobody found out.
    client.send('x'.repeat(1_001));
    await client.expectClose(4806);
  });
});
