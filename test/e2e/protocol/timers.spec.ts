import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { Authentication, Credentials } from '../../../lib/core/ports/identity.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { CountingClock } from '../../support/engine/counting-clock.js';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

// Over real sockets: what a connection, or one that never came to be, had scheduled is gone with it. All timers of engine,
// transport and broker run on one clock, which counts those that wait.
const HOUR_MS = 3_600_000;

let server: WireServer;
let clock: CountingClock;
let authenticate: (credentials: Credentials) => Authentication | Promise<Authentication>;
let pending: number;
afterEach(() => server.close());

async function start(): Promise<void> {
  clock = new CountingClock();
  authenticate = ({ token }) => (token === undefined ? {} : { user: { id: token } });
  server = await startWireServer({
    clock,
    broker: memoryBroker({ clock }),
    authenticator: { authenticate: (credentials) => authenticate(credentials) },
    channels: [
      wireChannel('leased.:room', { behaviour: { authorize: { subscribe: () => ({ forMs: HOUR_MS }) } } }),
      wireChannel('rooms.:room'),
    ],
    settings: {
      anonymous: true,
      lingerMs: 1,
      // A verification that hangs ends with it.
      handlerTimeoutMs: stretched(500),
      abuse: { authFailures: 1_000 },
      heartbeat: { intervalMs: 2_000, timeoutMs: 1_000 },
    },
    transport: { closeTimeoutMs: 60_000, handshakeTimeoutMs: 60_000 },
  });
  // The timers that a server, and a broker that has a channel, keep as long as they run.
  await server.engine.application.publish('rooms.1', 'said', 1);
  pending = clock.pending;
}

/** Waits until no session is left, and the wheel of the engine has seen it. */
async function atRest(): Promise<void> {
  await until(
    'the sessions to end',
    () => server.engine.status.sessions === 0 && server.engine.status.channels === 0,
  );
}

async function nothingLeft(): Promise<void> {
  await atRest();
  await until(`the timers to be ${pending} again`, () => clock.pending === pending);
}

const bearer = (token: string) => ({ protocols: ['realtime.v1.json', `bearer.${token}`] });

describe('the timers of a connection', () => {
  it.each([
    ['by a closing handshake', async (client: WireClient) => void (await client.close())],
    ['by a cut', async (client: WireClient) => client.terminate()],
    ['by bye', async (client: WireClient) => client.send({ type: 'bye', id: 'b' })],
    ['by a frame that breaks the protocol', async (client: WireClient) => client.send('{')],
    ['by the application', async () => void (await server.engine.disconnect('ada'))],
  ])(
    'a connection that ends %s leaves no timer, with a token, a lease and a session that was taken over (G13)',
    async (_how, end) => {
      await start();
      authenticate = ({ token }) => ({ user: { id: String(token) }, expiresAt: Date.now() + HOUR_MS });
      const older = await server.connect('ada');
      await older.subscribe('leased.1');
      const client = await server.open(bearer('ada'));
      await client.hello(undefined, { session: older.welcome?.session });
      await older.expectClose(4810);
      await client.subscribe('leased.2');
      await client.reply({ type: 'auth', payload: { token: 'ada' } });
      expect(clock.pending).toBeGreaterThan(pending);
      await end(client);
      await nothingLeft();
    },
  );
});

describe('the timers of an upgrade with a token', () => {
  it.each(['at once', 'later'])(
    'an upgrade whose token is accepted %s leaves no timer after the connection ends',
    async (form) => {
      await start();
      authenticate = ({ token }) => {
        const answer = { user: { id: String(token) } };
        return form === 'at once' ? answer : Promise.resolve(answer);
      };
      const client = await server.open(bearer('ada'));
      await client.hello();
      client.terminate();
      await nothingLeft();
    },
  );

  it.each([
    ['at once', new RealtimeError('unauthorized'), 401],
    ['later', new RealtimeError('unauthorized'), 401],
    ['at once', new Error('a failure'), 503],
    ['later', new Error('a failure'), 503],
  ] as const)('an upgrade that is refused %s with %p leaves no timer (P18)', async (form, error, status) => {
    await start();
    authenticate = () => {
      if (form === 'later') return Promise.reject(error);
      throw error;
    };
    expect((await WireClient.refused(server.url, bearer('x'))).status).toBe(status);
    const probed = await fetch(server.httpUrl, { headers: { Authorization: 'Bearer x' } });
    expect(probed.status).toBe(status);
    await nothingLeft();
  });

  it.each(['accepted', 'refused'])(
    'an upgrade whose client disconnects before it is %s leaves no timer',
    async (outcome) => {
      await start();
      let answer: (() => void) | undefined;
      authenticate = () =>
        new Promise((resolve, reject) => {
          answer = () =>
            outcome === 'accepted'
              ? resolve({ user: { id: 'ada' } })
              : reject(new RealtimeError('unauthorized'));
        });
      const { WebSocket } = await import('ws');
      const socket = new WebSocket(server.url, bearer('ada').protocols);
      socket.on('error', () => undefined);
      await until('the authenticator to be asked', () => answer !== undefined);
      expect(clock.pending).toBeGreaterThan(pending);
      socket.terminate();
      answer?.();
      await nothingLeft();
    },
  );

  it('a server that is disposed before the authenticator answers leaves no timer', async () => {
    await start();
    let answer: ((authentication: Authentication) => void) | undefined;
    authenticate = () => new Promise((resolve) => (answer = resolve));
    const refused = WireClient.refused(server.url, bearer('ada'));
    await until('the authenticator to be asked', () => answer !== undefined);
    server.transport.close();
    expect((await refused).status).toBe(503);
    // Its place is held until then: the application still works for it.
    answer?.({});
    await nothingLeft();
  });

  it('repeated refused upgrades leave no timer, and the next upgrade is verified as the first', async () => {
    await start();
    authenticate = () => Promise.reject(new RealtimeError('unauthorized'));
    // More than may be verified at once: each gives its place back.
    for (let round = 0; round < 4; round++) {
      const refusals = await Promise.all(
        Array.from({ length: 50 }, () => WireClient.refused(server.url, bearer('x'))),
      );
      expect(new Set(refusals.map(({ status }) => status))).toEqual(new Set([401]));
    }
    authenticate = ({ token }) => Promise.resolve({ user: { id: String(token) } });
    const client = await server.open(bearer('ada'));
    expect((await client.hello()).user).toBe('ada');
    client.terminate();
    await nothingLeft();
  });
});

describe('the timers of a server that stops', () => {
  it('a server that stops leaves no timer of what is in progress (G18)', async () => {
    await start();
    authenticate = ({ token, via }) => {
      if (token === 'slow') return new Promise(() => undefined);
      return via === 'none' ? {} : { user: { id: String(token) }, expiresAt: Date.now() + HOUR_MS };
    };
    const ada = await server.connect('ada');
    await ada.subscribe('leased.1');
    const greeting = await server.open();
    greeting.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'slow' } });
    await server.open();
    const refused = WireClient.refused(server.url, bearer('slow'));
    await until('the upgrade to be verified', () => clock.pending > pending);
    await server.close();
    await refused.catch(() => undefined);
    await until('no timer to be left', () => clock.pending === 0);
  });
});
