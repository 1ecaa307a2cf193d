import { afterEach, describe, expect, it } from '@jest/globals';
import type { Authentication, Authenticator, Credentials } from '../../../lib/core/ports/identity.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { type UpgradeRefused, WireClient, type WireClientOptions } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

let server: WireServer;
let clock: ManualClock;
afterEach(() => server.close());

/** A server whose time stands still, and that believes in `X-Forwarded-For`. */
async function start(options: Omit<WireServerOptions, 'clock'> = {}): Promise<void> {
  clock = new ManualClock();
  server = await startWireServer({ ...options, clock, transport: { trustProxy: 1, ...options.transport } });
}

const from = (ip: string, options: WireClientOptions = {}): WireClientOptions => ({
  ...options,
  headers: { 'x-forwarded-for': ip },
});
const warnings = () => server.records.filter(({ level }) => level === 'warn').map(({ message }) => message);

/** An upgrade that may have to wait: what became of it. */
interface Arrival {
  client?: WireClient;
  refused?: UpgradeRefused;
}

describe('connections above the rate of an address (P18c, G16, G17)', () => {
  const rate = { connectsPerSecond: 1, maxConnectionsPerAddress: 6 };

  /** Uses up what may come at once. */
  async function exhausted(
    limits: object = {},
    options: Omit<WireServerOptions, 'clock'> = {},
  ): Promise<void> {
    await start({ ...options, settings: { ...options.settings, limits: { ...rate, ...limits } } });
    for (let n = 0; n < 6; n++) {
      const client = await server.open(from('9.9.9.9'));
      await client.close();
      await until('the end', () => server.engine.status.sessions === 0);
    }
  }

  /** Resolves when the server has it. */
  async function arrive(ip = '9.9.9.9', options: WireClientOptions = {}): Promise<Arrival> {
    const before = waiting(ip);
    const arrival: Arrival = {};
    server.open(from(ip, options)).then(
      (client) => (arrival.client = client),
      (error: unknown) => (arrival.refused = error as UpgradeRefused),
    );
    await until('the upgrade', () => waiting(ip) > before || settled(arrival));
    return arrival;
  }

  const waiting = (ip: string): number => server.engine['parts'].connects['lines'].lengthOf(ip);
  const settled = ({ client, refused }: Arrival): boolean => client !== undefined || refused !== undefined;

  it('wait for their turn, in the order in which they came', async () => {
    await exhausted();
    const arrivals = [await arrive(), await arrive(), await arrive()];
    for (let turn = 0; turn < 3; turn++) {
      expect(arrivals.map(settled)).toEqual([turn > 0, turn > 1, false]);
      clock.advance(999);
      await settle();
      expect(arrivals.filter(settled)).toHaveLength(turn);
      clock.advance(1);
      await until('the turn', () => arrivals[turn]?.client !== undefined);
    }
    expect(warnings()).toEqual([]);
    const client = arrivals[2]?.client as WireClient;
    expect((await client.hello('ada')).user).toBe('ada');
  });

  it('those that would wait too long are refused at once with the time to come back, which the log says', async () => {
    await exhausted({ admissionWaitMs: 2_500 });
    const arrivals = [await arrive(), await arrive(), await arrive()];
    expect(arrivals.map(({ refused }) => refused?.status)).toEqual([undefined, undefined, 429]);
    expect(Number(arrivals[2]?.refused?.headers['retry-after'])).toBe(3);
    expect(warnings()).toEqual([
      expect.stringMatching(/address 9\.9\.9\.9 was refused with 429.*limits\.connectsPerSecond/),
    ]);
    clock.advance(2_000);
    await until('the others', () => arrivals.slice(0, 2).every(({ client }) => client !== undefined));
    clock.advance(1_000);
    expect((await arrive()).client).toBeDefined();
  });

  it('a client that goes away leaves the line, with or without a reset', async () => {
    await exhausted();
    const sockets = [];
    for (const kind of ['destroy', 'end'] as const) {
      const { connect } = await import('node:net');
      const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
      socket.on('error', () => undefined);
      const before = waiting('9.9.9.9');
      socket.write(
        'GET /realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 9.9.9.9\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
      await until('the upgrade', () => waiting('9.9.9.9') > before);
      sockets.push({ socket, kind });
    }
    const next = await arrive();
    expect(waiting('9.9.9.9')).toBe(3);
    for (const { socket, kind } of sockets) socket[kind]();
    await until('them to leave', () => waiting('9.9.9.9') === 1);
    clock.advance(1_000);
    await until('the next', () => next.client !== undefined);
    expect(warnings()).toEqual([]);
  });

  it('other addresses do not wait', async () => {
    await exhausted();
    await arrive();
    expect((await arrive('8.8.8.8')).client).toBeDefined();
  });

  it('credentials are verified when it is their turn', async () => {
    const asked: Credentials[] = [];
    const authenticator: Authenticator = {
      authenticate: (credentials) => {
        asked.push(credentials);
        return { user: { id: 'ada' } };
      },
    };
    await exhausted({}, { authenticator });
    const good = await arrive('9.9.9.9', { protocols: ['realtime.v1.json', 'bearer.good'] });
    expect(asked).toEqual([]);
    clock.advance(1_000);
    await until('the turn', () => good.client !== undefined);
    expect(asked).toMatchObject([{ token: 'good' }]);
  });

  it('a probe does not wait: it is refused with the time to come back, and overtakes nobody (P18)', async () => {
    await exhausted();
    const ask = () => fetch(server.httpUrl, { headers: { 'x-forwarded-for': '9.9.9.9' } });
    const arrival = await arrive();
    const refused = await ask();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2']);
    clock.advance(1_000);
    await until('the turn', () => arrival.client !== undefined);
    clock.advance(1_000);
    expect((await ask()).status).toBe(426);
  });

  it('a node that drains refuses those that wait', async () => {
    await exhausted();
    const arrival = await arrive();
    const draining = server.engine.drain(1_000);
    clock.advance(1_000);
    await until('the answer', () => settled(arrival));
    expect(arrival.refused?.status).toBe(503);
    clock.advance(60_000);
    await draining;
  });

  it('a transport that closes refuses those that wait, and leaves no timer', async () => {
    await exhausted();
    const arrival = await arrive();
    server.transport.close();
    await until('the answer', () => settled(arrival));
    expect(arrival.refused?.status).toBe(503);
    expect(waiting('9.9.9.9')).toBe(0);
  });

  it('none waits longer than the handshake may take', async () => {
    await exhausted({}, { transport: { handshakeTimeoutMs: 300 } });
    const arrival = await arrive();
    clock.advance(300);
    await until('the answer', () => settled(arrival));
    expect(arrival.refused?.status).toBe(503);
    expect(waiting('9.9.9.9')).toBe(0);
  });

  it('what a client sends while it waits is not lost, and is bounded', async () => {
    await exhausted({ maxUnfinishedBytes: 8 * 1_024 });
    const { connect } = await import('node:net');
    const open = async (bytes: number) => {
      const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
      let text = '';
      let over = false;
      socket.on('error', () => undefined).on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.on('close', () => (over = true));
      const before = waiting('9.9.9.9');
      socket.write(
        'GET /realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 9.9.9.9\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: realtime.v1.json\r\n\r\n',
      );
      await until('the upgrade', () => waiting('9.9.9.9') > before);
      const hello = Buffer.from(
        '{"type":"hello","id":"h","payload":{"versions":[1],"token":"ada"}}'.padEnd(bytes),
      );
      const header = Buffer.from([0x81, 0xfe, 0, 0, 0, 0, 0, 0]);
      header.writeUInt16BE(hello.length, 2);
      socket.write(Buffer.concat([header, hello]));
      return { text: () => text, over: () => over, destroy: () => socket.destroy() };
    };
    const small = await open(2_000);
    const large = await open(12_000);
    await until('the large one to be shed', () => large.over());
    expect(waiting('9.9.9.9')).toBe(1);
    clock.advance(1_000);
    await until('the welcome', () => small.text().includes('"welcome"'));
    expect(large.text()).toBe('');
    small.destroy();
  });
});

describe('credentials that find no place to be verified (P18c, G16, G17)', () => {
  interface Verification {
    readonly token: string | undefined;
    readonly finish: (result: Authentication) => void;
    readonly refuse: (error: Error) => void;
  }
  let running: Verification[] = [];
  const slow: Authenticator = {
    authenticate: ({ token }) =>
      new Promise((finish, refuse) => void running.push({ token, finish, refuse })),
  };

  const atOnce: Authenticator = {
    authenticate: (credentials) => (credentials.token === undefined ? {} : slow.authenticate(credentials)),
  };

  const tokens = () => running.map(({ token }) => token);
  const waiting = (ip: string): number => server.engine['parts'].verifications['lines'].lengthOf(ip);
  const hello = (token?: string) => ({ type: 'hello', id: 'h', payload: { versions: [1], token } });

  async function startSlow(limits: object, authenticator = slow, abuse: object = {}): Promise<void> {
    running = [];
    await start({
      channels: [wireChannel('rooms.:room')],
      authenticator,
      settings: {
        anonymous: true,
        limits,
        abuse,
        heartbeat: { intervalMs: 1e6 },
        helloTimeoutMs: 60_000,
        handlerTimeoutMs: 30_000,
      },
    });
  }

  /** Says hello, and resolves when the server has it. */
  async function greet(ip: string, token?: string): Promise<WireClient> {
    const client = await server.open(from(ip));
    const before = running.length + waiting(ip);
    const warned = server.records.length;
    client.send(hello(token));
    await until(
      'the hello',
      () =>
        running.length + waiting(ip) > before || client.ended !== undefined || server.records.length > warned,
    );
    return client;
  }

  function take(token: string): Verification {
    const index = tokens().indexOf(token);
    expect(tokens()).toContain(token);
    return running.splice(index, 1)[0] as Verification;
  }

  const finish = (token: string): void => take(token).finish({ user: { id: token } });

  it('wait for one of their address, in their order', async () => {
    await startSlow({ maxVerificationsPerAddress: 2 });
    const clients = [];
    for (const token of ['a1', 'a2', 'a3', 'a4']) clients.push(await greet('1.1.1.1', token));
    expect(tokens()).toEqual(['a1', 'a2']);
    finish('a2');
    await until('the next', () => tokens().includes('a3'));
    expect(tokens()).toEqual(['a1', 'a3']);
    finish('a3');
    finish('a1');
    await until('the last', () => tokens().includes('a4'));
    finish('a4');
    for (const client of clients) expect((await client.next()).type).toBe('welcome');
    expect(server.engine['parts'].verifications.size).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it('an address that is held for what it guessed has as many places as any (P18h)', async () => {
    const picky = {
      authenticate: (given: Credentials) => {
        if (given.token === 'bad') throw new RealtimeError('unauthorized');
        return slow.authenticate(given);
      },
    };
    await startSlow({ maxVerificationsPerAddress: 2 }, picky, { authFailures: 2 });
    for (const code of ['unauthorized', 'unauthorized', 'rate_limited', 'rate_limited']) {
      const client = await server.open(from('1.1.1.1'));
      client.send(hello('bad'));
      expect((await client.next('error')).payload).toMatchObject({ code });
    }
    const clients = [await greet('1.1.1.1', 'a1'), await greet('1.1.1.1', 'a2')];
    expect(tokens()).toEqual(['a1', 'a2']);
    for (const token of ['a1', 'a2']) finish(token);
    for (const client of clients) expect((await client.next()).type).toBe('welcome');
  });

  it('who brings none is not kept waiting by those of its address, where the authenticator knows at once', async () => {
    await startSlow({ maxVerificationsPerAddress: 1 }, atOnce);
    for (const token of ['a1', 'a2']) await greet('1.1.1.1', token);
    for (let time = 1; time <= 2; time++) {
      const client = await server.open(from('1.1.1.1'));
      client.send(hello());
      expect((await client.next()).type).toBe('welcome');
    }
    expect(tokens()).toEqual(['a1']);
    expect(waiting('1.1.1.1')).toBe(1);
    expect(server.engine['parts'].verifications.size).toBe(1);
  });

  it('who brings none waits like all others where the authenticator has to find out, until it knows at once again', async () => {
    let knows = false;
    await startSlow(
      { maxVerificationsPerAddress: 1 },
      { authenticate: (credentials) => (knows ? atOnce : slow).authenticate(credentials) },
    );
    await greet('1.1.1.1', 'a1');
    const clients = [];
    // The first is asked about before anybody can know, and counts.
    for (let n = 0; n < 3; n++) clients.push(await greet('1.1.1.1'));
    expect(tokens()).toEqual(['a1', undefined]);
    expect(waiting('1.1.1.1')).toBe(2);
    expect(server.engine['parts'].verifications.size).toBe(2);
    knows = true;
    finish('a1');
    expect(waiting('1.1.1.1')).toBe(2);
    running.pop()?.finish({});
    for (const client of clients) expect((await client.next()).type).toBe('welcome');
    expect(server.engine['parts'].verifications.size).toBe(0);

    await greet('1.1.1.1', 'a2');
    const client = await server.open(from('1.1.1.1'));
    client.send(hello());
    expect((await client.next()).type).toBe('welcome');
    expect(tokens()).toEqual(['a2']);
  });

  it('a valid one gets in behind a flood of bad ones from its address', async () => {
    await startSlow({ maxVerificationsPerAddress: 1 });
    for (const token of ['bad1', 'bad2', 'bad3']) await greet('1.1.1.1', token);
    const client = await greet('1.1.1.1', 'ada');
    for (const token of ['bad1', 'bad2', 'bad3']) {
      await until('its turn', () => tokens().includes(token));
      take(token).refuse(new RealtimeError('unauthorized'));
    }
    await until('its turn', () => tokens().includes('ada'));
    finish('ada');
    expect((await client.next()).type).toBe('welcome');
  });

  it('addresses take turns where the places of the node are used up', async () => {
    await startSlow({ maxVerifications: 1 });
    for (const token of ['a1', 'a2', 'a3', 'a4']) await greet('1.1.1.1', token);
    for (const token of ['b1', 'b2']) await greet('2.2.2.2', token);
    await greet('3.3.3.3', 'c1');
    const order = [];
    for (let n = 0; n < 7; n++) {
      await until('the next', () => running.length === 1);
      order.push(tokens()[0]);
      finish(order.at(-1) as string);
    }
    expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  });

  it('an address at its own bound does not hold up the others', async () => {
    await startSlow({ maxVerifications: 3, maxVerificationsPerAddress: 2 });
    for (const token of ['a1', 'a2', 'a3']) await greet('1.1.1.1', token);
    await greet('2.2.2.2', 'b1');
    expect(tokens()).toEqual(['a1', 'a2', 'b1']);
    await greet('3.3.3.3', 'c1');
    finish('b1');
    await until('the next', () => tokens().includes('c1'));
    expect(tokens()).toEqual(['a1', 'a2', 'c1']);
    finish('c1');
    await settle();
    expect(tokens()).toEqual(['a1', 'a2']);
    finish('a1');
    await until('the next', () => tokens().includes('a3'));
  });

  it.each([
    ['hello', 'bearer'],
    ['the handshake', 'upgrade'],
  ])('a client that goes away leaves the line: with %s', async (_, kind) => {
    await startSlow({ maxVerificationsPerAddress: 1 });
    await greet('1.1.1.1', 'a1');
    const gone =
      kind === 'bearer'
        ? await greet('1.1.1.1', 'a2')
        : new WebSocketAttempt(server.httpUrl, '1.1.1.1', 'a2');
    await until('the line', () => waiting('1.1.1.1') === 1);
    await greet('1.1.1.1', 'a3');
    gone.terminate();
    await until('it to leave', () => waiting('1.1.1.1') === 1);
    finish('a1');
    await until('the next', () => running.length === 1);
    expect(tokens()).toEqual(['a3']);
    expect(warnings()).toEqual([]);
  });

  it('none waits longer than admissionWait, then it may come again, which the log says', async () => {
    await startSlow({ maxVerificationsPerAddress: 1, admissionWaitMs: 2_000 });
    await greet('1.1.1.1', 'a1');
    const client = await greet('1.1.1.1', 'a2');
    clock.advance(1_999);
    await server.rest(await server.open(from('2.2.2.2')));
    expect(client.ended).toBeUndefined();
    clock.advance(1);
    const { ref, payload } = await client.next('error');
    expect({ ref, payload }).toMatchObject({ ref: 'h', payload: { code: 'rate_limited', retryable: true } });
    // A second, and up to another by chance.
    const retryAfterMs = Number(payload['retryAfterMs']);
    expect(retryAfterMs).toBeGreaterThanOrEqual(1_000);
    expect(retryAfterMs).toBeLessThanOrEqual(2_000);
    expect(await client.expectClose()).toMatchObject({ code: 4006, reason: `overloaded|${retryAfterMs}` });
    expect(warnings()).toEqual([
      expect.stringMatching(/address 1\.1\.1\.1 .*2000 ms.*limits\.maxVerificationsPerAddress/),
    ]);
    finish('a1');
  });

  it('an upgrade that finds no place in time gets 429, and one beyond the room at once', async () => {
    await startSlow({
      maxVerificationsPerAddress: 1,
      admissionWaitMs: 2_000,
      maxWaitingBytes: 8 * 1_024 + 10,
    });
    const bearer = (token: string) => ({ protocols: ['realtime.v1.json', `bearer.${token}`] });
    await greet('1.1.1.1', 'a1');
    const late = WireClient.refused(server.url, from('1.1.1.1', bearer('a2')));
    await until('the line', () => waiting('1.1.1.1') === 1);
    expect((await WireClient.refused(server.url, from('1.1.1.1', bearer('a3')))).status).toBe(429);
    clock.advance(2_000);
    const refusal = await late;
    expect(refusal.status).toBe(429);
    expect(['1', '2']).toContain(refusal.headers['retry-after']);
    finish('a1');
  });

  it('a long line makes room for a short one', async () => {
    await startSlow({ maxVerifications: 1, maxWaitingBytes: 32 * 1_024 + 100 });
    const clients: Record<string, WireClient> = {};
    for (const token of ['a1', 'a2', 'a3', 'a4', 'a5']) clients[token] = await greet('1.1.1.1', token);
    clients['b1'] = await greet('2.2.2.2', 'b1');
    expect(await clients['a5']?.expectClose()).toMatchObject({ code: 4006 });
    finish('a1');
    await until('the next', () => tokens().includes('a2'));
    finish('a2');
    await until('the turn of the other', () => tokens().includes('b1'));
  });

  it('a token of auth waits as well', async () => {
    await startSlow({ maxVerificationsPerAddress: 1 });
    const client = await greet('1.1.1.1', 'ada');
    finish('ada');
    await client.next('welcome');
    await greet('1.1.1.1', 'eve');
    client.send({ type: 'auth', id: 'a', payload: { token: 'ada' } });
    await until('the line', () => waiting('1.1.1.1') === 1);
    finish('eve');
    await until('its turn', () => tokens().includes('ada'));
    finish('ada');
    expect(await client.next('reply')).toMatchObject({ ref: 'a' });
  });

  it('an authenticator that throws at once gives its place back', async () => {
    running = [];
    let first = true;
    await start({
      authenticator: {
        authenticate: (credentials) => {
          if (credentials.token === 'bad') throw new RealtimeError('unauthorized');
          first = false;
          return slow.authenticate(credentials);
        },
      },
      settings: { limits: { maxVerifications: 1 } },
    });
    await greet('1.1.1.1', 'a1');
    expect(first).toBe(false);
    const bad = await greet('1.1.1.1', 'bad');
    await greet('1.1.1.1', 'a3');
    finish('a1');
    await bad.expectClose(4801);
    await until('the next', () => tokens().includes('a3'));
    finish('a3');
    await until('the places', () => server.engine['parts'].verifications.size === 0);
  });
});

/** An upgrade that is cut before it was answered. */
class WebSocketAttempt {
  private readonly abort = new AbortController();

  constructor(url: string, ip: string, token: string) {
    void import('node:http').then(({ get }) => {
      const request = get(url, {
        headers: {
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'X-Forwarded-For': ip,
          'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Protocol': `realtime.v1.json, bearer.${token}`,
        },
      });
      request.on('error', () => undefined);
      this.abort.signal.addEventListener('abort', () => request.destroy());
    });
  }

  terminate(): void {
    this.abort.abort();
  }
}
