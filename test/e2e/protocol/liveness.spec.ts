import { afterEach, describe, expect, it } from '@jest/globals';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const INTERVAL = 25_000;
const TIMEOUT = 10_000;
/** What the timers of the server may be late by. */
const TICK = 250;

let server: WireServer;
let clock: ManualClock;
afterEach(() => server.close());

/** A server whose time stands still until the test moves it; sockets do not wait for it. */
async function start(options: WireServerOptions = {}): Promise<void> {
  clock = new ManualClock();
  server = await startWireServer({
    clock,
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    ...options,
  });
}

/** A client that leaves pings to the test. */
const connect = (name = 'ada'): Promise<WireClient> => server.connect(name, { answersPings: false });

/** Moves time on in steps until the client has a ping, sending nothing. @returns how far it moved. */
async function untilPing(client: WireClient, limit = 2 * INTERVAL): Promise<number> {
  for (let passed = 0; passed <= limit; passed += TICK) {
    if (client.pending.some(({ type }) => type === 'ping')) {
      await client.take({ type: 'ping' });
      return passed;
    }
    clock.advance(TICK);
    await server.rest(client);
  }
  throw new Error(`No ping within ${limit} ms`);
}

describe('the server’s heartbeat (P8)', () => {
  it('a client that receives events but sends nothing is pinged, and closed with 4004 if it does not respond (P8)', async () => {
    await start();
    const client = await connect();
    await client.subscribe('rooms.1');
    await untilPing(client);
    client.send({ type: 'pong' });
    await client.call({ type: 'ping' });
    // From here on the client is silent, while events keep coming.
    for (let passed = 0; passed < INTERVAL; passed += 1_000) {
      clock.advance(1_000);
      await server.engine.application.publish('rooms.1', 'said', passed);
      await client.take({ type: 'event' });
    }
    clock.advance(TICK);
    await client.take({ type: 'ping' });
    clock.advance(TIMEOUT - 2 * TICK);
    expect(server.engine.status.sessions).toBe(1);
    clock.advance(3 * TICK);
    expect((await client.expectClose(4004)).reason).toBe('heartbeat_timeout|0');
    expect(server.engine.status.sessions).toBe(0);
  });

  it('a client that sends but receives nothing is pinged (P8)', async () => {
    await start();
    const client = await connect();
    await untilPing(client);
    for (let passed = 0; passed < INTERVAL + 2 * TICK; passed += 1_000) {
      // `pong` is a frame that has no answer.
      client.send({ type: 'pong' });
      await server.rest(client);
      clock.advance(1_000);
    }
    await client.take({ type: 'ping' });
  });

  it('a ping is sent only when nothing was sent or received for intervalMs (P8)', async () => {
    await start();
    const client = await connect();
    await untilPing(client);
    // Both ways carry something all the time: there is nothing to ask.
    for (let passed = 0; passed < 3 * INTERVAL; passed += 5_000) {
      clock.advance(5_000);
      await client.call({ type: 'ping' });
    }
    expect(client.pending).toEqual([]);
  });

  it('the first ping comes at a random time within the first interval (P8b)', async () => {
    await start();
    const delays: number[] = [];
    for (const name of ['ada', 'bob', 'eve', 'joe', 'kim']) {
      const client = await connect(name);
      delays.push(await untilPing(client));
      client.terminate();
      await until('the session to end', () => server.engine.status.sessions === 0);
    }
    expect(Math.max(...delays)).toBeLessThanOrEqual(INTERVAL + 4 * TICK);
    expect(new Set(delays).size).toBeGreaterThan(2);
  });

  it.each([
    ['pong', { type: 'pong' }],
    ['any command', { type: 'unsubscribe', id: 'u1', channel: 'rooms.1' }],
    ['an unknown command', { type: 'shout' }],
    ['an empty frame', '\n'],
  ])('%s counts as a sign of life (P8c)', async (_, frame) => {
    await start();
    const client = await connect();
    for (let round = 0; round < 3; round++) {
      await untilPing(client);
      clock.advance(TIMEOUT - 2 * TICK);
      const before = server.engine.status.sessions;
      client.send(frame);
      // The server has read it when another connection, opened behind it, is answered.
      const other = await connect('other');
      other.terminate();
      await until('the other to be gone', () => server.engine.status.sessions === before);
      clock.advance(4 * TICK);
      expect(server.engine.status.sessions).toBe(1);
    }
  });

  it('a client is not closed for silence while the server pauses reading from it, and is watched again afterwards (P8c)', async () => {
    let finish = (): void => undefined;
    let asked = false;
    await start({
      settings: { limits: { maxInFlight: 1 }, handlerTimeoutMs: 10 * INTERVAL },
      requests: new Map([
        [
          'slow',
          {
            authorize: 'public',
            handle: () => {
              asked = true;
              return new Promise<void>((resolve) => (finish = resolve));
            },
          },
        ],
      ]),
    });
    const client = await connect();
    client.send({ type: 'request', id: 'r1', event: 'slow' });
    await until('the handler to run', () => asked);
    // Reading is paused now: even a pong would not be seen.
    for (let passed = 0; passed < 2 * (INTERVAL + TIMEOUT); passed += TICK) clock.advance(TICK);
    expect(server.engine.status.sessions).toBe(1);
    await client.take({ type: 'ping' });
    finish();
    await client.take({ ref: 'r1' });
    // It is read from again, and silent: now its silence counts.
    for (let passed = 0; passed < 2 * (INTERVAL + TIMEOUT); passed += TICK) clock.advance(TICK);
    await client.expectClose(4004);
  });

  it('WebSocket pings are answered, and are not signs of life of this protocol (P8d)', async () => {
    await start();
    const client = await connect();
    await untilPing(client);
    const answered = new Promise((resolve) => client.socket.once('pong', resolve));
    client.socket.ping();
    await answered;
    clock.advance(TIMEOUT + TICK);
    await client.expectClose(4004);
  });

  it('a half-open client that neither reads nor sends is disconnected, and its socket destroyed (P8)', async () => {
    await start({ transport: { closeTimeoutMs: 1_000 } });
    const client = await connect();
    await client.subscribe('rooms.1');
    client.stopReading();
    for (let passed = 0; passed < 2 * INTERVAL + TIMEOUT; passed += TICK) clock.advance(TICK);
    expect(server.engine.status.sessions).toBe(0);
    // It will never answer the close frame; after closeTimeoutMs the socket goes.
    clock.advance(1_100);
    client.goOnReading();
    await client.expectClose(4004);
  });

  it('in real time, silent clients are closed and responding clients stay (P8)', async () => {
    server = await startWireServer({
      channels: [wireChannel('rooms.:room')],
      settings: { heartbeat: { intervalMs: 40, timeoutMs: stretched(2_000) } },
    });
    const silent = await Promise.all(
      ['a', 'b', 'c'].map((name) => server.connect(name, { answersPings: false })),
    );
    const answering = await server.connect('d');
    for (const client of silent) await client.expectClose(4004);
    expect(answering.ended).toBeUndefined();
    expect((await answering.call({ type: 'ping' })).type).toBe('pong');
    expect(server.engine.status.sessions).toBe(1);
  });
});
