import { afterEach, describe, expect, it } from '@jest/globals';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import type { RealtimeIdentity } from '../../../lib/core/ports/identity.js';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireClientOptions } from '../../support/wire/client.js';
import { WireClient as Wire } from '../../support/wire/client.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const clock = new ManualClock();
const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Behind one proxy, so that a test chooses the address of each client. */
const behindProxy = { cookie: { name: 'session' }, trustProxy: 1 };
const abuse = { throttleAfter: 100, closeAfter: 10, windowMs: 60_000, banMs: 30_000 };
const strict = { anonymous: true, limits: { ratePerSecond: 1, burst: 5 }, abuse };

async function start(options: Omit<WireServerOptions, 'clock'> = {}): Promise<WireServer> {
  const server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    transport: behindProxy,
    ...options,
    clock,
    settings: { ...strict, ...options.settings },
  });
  servers.push(server);
  return server;
}

async function cluster(count: number): Promise<WireCluster> {
  const nodes = await startWireCluster(count, { clock, transport: behindProxy, settings: strict });
  servers.push(nodes);
  return nodes;
}

const from = (address: string): WireClientOptions => ({ headers: { 'X-Forwarded-For': address } });

/** Ignores the limits until the connection is closed for abuse. */
async function abuseWith(client: WireClient): Promise<void> {
  client.sendAll(Array.from({ length: 20 }, (_, index) => ({ type: 'ping', id: `p${index}` })));
  await client.expectClose(4807);
}

async function refusedAt(server: WireServer, address: string, token?: string): Promise<string> {
  const client = await server.open(from(address));
  const payload = { versions: [1], ...(token === undefined ? {} : { token }) };
  const { code } = await client.error({ type: 'hello', payload });
  return code;
}

const warnings = ({ records }: WireServer) =>
  records.filter(({ level }) => level === 'warn').map(({ message }) => message);

describe('the address of a client (G17)', () => {
  it.each([
    ['2001:db8::1', '2001:DB8:0:0:0:0:0:1'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['9.9.9.9', '::ffff:9.9.9.9'],
    ['::ffff:9.9.9.9', '::FFFF:0909:0909'],
    ['[2001:db8::1]:443', '2001:db8::1%eth0'],
  ])('%s and %s are one client for bans and limits', async (one, other) => {
    const server = await start({
      settings: { ...strict, limits: { ...strict.limits, maxConnectionsPerAddress: 2 } },
    });
    const first = await server.connect(undefined, from(one));
    const second = await server.connect(undefined, from(other));
    expect((await Wire.refused(server.url, from(one))).status).toBe(429);
    await second.close();
    await abuseWith(first);
    expect(await refusedAt(server, other)).toBe('banned');
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1', 64],
    ['2001:db8::1', '2001:db8::2', 128],
    ['9.9.9.9', '9.9.9.8', 64],
    ['64:ff9b::9.9.9.9', '64:ff9b::9.9.9.8', 64],
  ])('%s and %s are two, by /%i', async (one, other, ipv6Prefix) => {
    const limits = { ...strict.limits, maxConnectionsPerAddress: 1, ipv6Prefix };
    const server = await start({ settings: { ...strict, limits } });
    const first = await server.connect(undefined, from(one));
    await server.connect(undefined, from(other));
    await abuseWith(first);
    expect((await Wire.refused(server.url, from(other))).status).toBe(429);
    expect(await refusedAt(server, one)).toBe('banned');
  });

  it('the application sees the address in one spelling, and not the network', async () => {
    const server = await start();
    await server.connect('ada', from('2001:DB8:0:0:0:0:0:1'));
    expect(server.engine.sessionsOf('ada').map(({ ip }) => ip)).toEqual(['2001:db8::1']);
  });

  it('connects and refused credentials count by network', async () => {
    const limits = { connectsPerSecond: 1, maxConnectionsPerAddress: 2, admissionWaitMs: 0 };
    const server = await start({ settings: { ...strict, limits: { ...strict.limits, ...limits } } });
    for (const address of ['2001:db8::1', '2001:db8::2']) await (await server.open(from(address))).close();
    expect((await Wire.refused(server.url, from('2001:db8::3'))).status).toBe(429);
    expect(warnings(server)).toEqual([
      expect.stringMatching(/2001:db8::3 was refused with 429.*limits\.connectsPerSecond is 1.*trustProxy/),
    ]);
    expect((await server.connect('ada', from('2001:db8:0:1::3'))).ended).toBeUndefined();

    const guarded = await start({ settings: { ...strict, abuse: { ...abuse, authFailures: 1 } } });
    expect(await refusedAt(guarded, '2001:db8::1', 'bad')).toBe('unauthorized');
    expect(await refusedAt(guarded, '2001:db8::2', 'bad')).toBe('rate_limited');
    expect(await refusedAt(guarded, '2001:db8:0:1::2', 'bad')).toBe('unauthorized');
    expect((await guarded.connect('ada', from('2001:db8::2'))).welcome?.user).toBe('ada');
  });

  it('verifications under way count by network: others of it wait for their turn', async () => {
    const asked: { token: string | undefined; answer: () => void }[] = [];
    const server = await start({
      authenticator: {
        authenticate: ({ token }) =>
          new Promise((resolve) =>
            asked.push({ token, answer: () => resolve({ user: { id: token ?? '' } }) }),
          ),
      },
      settings: { ...strict, limits: { ...strict.limits, maxVerificationsPerAddress: 1 } },
    });
    const greet = async (token: string, address: string) => {
      const client = await server.open(from(address));
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token } });
      await server.rest(client);
      return client;
    };
    const ada = await greet('ada', '2001:db8::1');
    const bob = await greet('bob', '2001:DB8:0:0:1::2');
    await greet('eve', '2001:db8:0:1::1');
    expect(asked.map(({ token }) => token)).toEqual(['ada', 'eve']);
    asked[0]?.answer();
    await ada.next('welcome');
    await until('the turn of the next', () => asked.length === 3);
    asked[2]?.answer();
    expect((await bob.next('welcome')).payload['user']).toBe('bob');
  });
});

describe('an address that strangers spoilt (G16, P18a)', () => {
  it.each<[string, (server: WireServer) => Promise<WireClient>]>([
    ['in hello', (server) => server.connect('ada', from('9.9.9.9'))],
    [
      'in a subprotocol',
      (server) =>
        server.connect(undefined, { ...from('9.9.9.9'), protocols: ['realtime.v1.json', 'bearer.ada'] }),
    ],
    [
      'in a cookie',
      (server) => {
        const headers = {
          ...from('9.9.9.9').headers,
          Cookie: 'session=ada',
          Origin: server.httpUrl.slice(0, -9),
        };
        return server.connect(undefined, { headers });
      },
    ],
  ])('admits a valid credential %s, again and again', async (_where, connect) => {
    const server = await start();
    await abuseWith(await server.connect(undefined, from('9.9.9.9')));
    expect(await refusedAt(server, '9.9.9.9')).toBe('banned');
    for (let time = 1; time <= 2; time++) expect((await connect(server)).welcome?.user).toBe('ada');
    // What is not valid opens no door.
    expect(await refusedAt(server, '9.9.9.9', 'bad')).toBe('unauthorized');
    clock.advance(30_000);
    expect((await server.connect(undefined, from('9.9.9.9'))).ended).toBeUndefined();
  });

  it('an abuser that is known spoils nothing for anonymous clients of the address', async () => {
    const server = await start();
    await abuseWith(await server.connect('ada', from('9.9.9.9')));
    expect((await server.connect(undefined, from('9.9.9.9'))).ended).toBeUndefined();
    expect(await refusedAt(server, '8.8.8.8', 'ada')).toBe('banned');
  });

  it('who waits for the connect hook while the address is banned gets no welcome', async () => {
    let go: () => void = () => undefined;
    let waits = false;
    const onConnect = () => (waits ? new Promise<boolean>((resolve) => (go = () => resolve(true))) : true);
    const server = await start({ onConnect });
    const abuser = await server.connect(undefined, from('9.9.9.9'));
    waits = true;
    const late = await server.open(from('9.9.9.9'));
    late.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
    await server.rest(late);
    await abuseWith(abuser);
    expect(late.ended).toBeUndefined();
    go();
    await late.expectClose(4803);
  });
});

describe('an abuse ban ends the other connections of whom it concerns (G16)', () => {
  it('of a user, and nobody else', async () => {
    const server = await start();
    const phone = await server.connect('ada', from('8.8.8.8'));
    const bob = await server.connect('bob', from('9.9.9.9'));
    const stranger = await server.connect(undefined, from('9.9.9.9'));
    await abuseWith(await server.connect('ada', from('9.9.9.9')));
    expect(await phone.expectClose(4803)).toEqual({ code: 4803, reason: 'banned|30000' });
    expect([bob.ended, stranger.ended]).toEqual([undefined, undefined]);
  });

  it('of the anonymous clients of an address, and nobody else', async () => {
    const server = await start();
    const beside = await server.connect(undefined, from('9.9.9.9'));
    const ada = await server.connect('ada', from('9.9.9.9'));
    const elsewhere = await server.connect(undefined, from('9.9.9.8'));
    const silent = await server.open(from('9.9.9.9'));
    await abuseWith(await server.connect(undefined, from('9.9.9.9')));
    await beside.expectClose(4803);
    expect([ada.ended, elsewhere.ended, silent.ended]).toEqual([undefined, undefined, undefined]);
    // It proves to be somebody.
    expect((await silent.hello('bob')).user).toBe('bob');
  });

  it('where there is no other connection, and a second time', async () => {
    const server = await start();
    for (let time = 1; time <= 2; time++) {
      await abuseWith(await server.connect('ada'));
      expect(await refusedAt(server, '9.9.9.9', 'ada')).toBe('banned');
      clock.advance(30_000);
    }
    expect((await server.connect('ada')).welcome?.user).toBe('ada');
  });

  it.each([
    ['a user', 'ada', 'bob'],
    ['anonymous clients', undefined, 'bob'],
  ])('on other nodes too: %s', async (_whom, token, other) => {
    const { nodes } = await cluster(2);
    const [left, right] = nodes as [WireServer, WireServer];
    const there = await right.connect(token, from('9.9.9.9'));
    const bob = await right.connect(other, from('9.9.9.9'));
    await abuseWith(await left.connect(token, from('9.9.9.9')));
    await there.expectClose(4803);
    expect(bob.ended).toBeUndefined();
    expect(await refusedAt(right, '9.9.9.9', token)).toBe('banned');
    clock.advance(30_000);
    expect((await right.connect(token, from('9.9.9.9'))).ended).toBeUndefined();
  });

  it.each([
    ['a user', 'ada', 'bob'],
    ['anonymous clients', undefined, 'bob'],
  ])('on a node that starts later, for the time that is left: %s', async (_whom, token, other) => {
    const nodes = await cluster(1);
    await abuseWith(await (nodes.nodes[0] as WireServer).connect(token, from('9.9.9.9')));
    clock.advance(20_000);
    const late = await nodes.start();
    expect(await refusedAt(late, '9.9.9.9', token)).toBe('banned');
    expect((await late.connect(other, from('9.9.9.9'))).ended).toBeUndefined();
    clock.advance(10_000);
    expect((await late.connect(token, from('9.9.9.9'))).ended).toBeUndefined();
  });

  it('neither shortens a ban of the application nor outlives its end', async () => {
    const { nodes } = await cluster(2);
    const [left, right] = nodes as [WireServer, WireServer];
    // Another node had not closed the connection yet when the abuse came.
    await right.engine.ban('ada');
    await left.broker.bus.control({ kind: 'abuse', of: 'user', id: 'ada', forMs: 30_000 });
    clock.advance(30_000);
    expect(await refusedAt(right, '9.9.9.9', 'ada')).toBe('banned');
    expect(await refusedAt(left, '9.9.9.9', 'ada')).toBe('banned');
    await left.engine.unban('ada');
    expect((await right.connect('ada')).welcome?.user).toBe('ada');
  });

  it('is lifted by the application, and an ended record changes nothing', async () => {
    const server = await start();
    await abuseWith(await server.connect('ada'));
    await server.engine.unban('ada');
    const back = await server.connect('ada');
    await server.broker.bus.control({ kind: 'abuse', of: 'user', id: 'ada', forMs: 0 });
    expect((await back.call({ type: 'ping' })).type).toBe('pong');
  });

  it('holds on this node where the broker does not answer, with a word in the log', async () => {
    const server = await start();
    const { bus } = server.broker;
    Object.assign(bus, { control: () => Promise.reject(new Error('away')) });
    const phone = await server.connect('ada');
    await abuseWith(await server.connect('ada'));
    await phone.expectClose(4803);
    await until('the log', () => warnings(server).some((line) => line.includes('Other nodes may not know')));
  });
});

describe('what the node refuses is in the log (G16)', () => {
  it('bans, and the come-back of who is banned', async () => {
    const server = await start();
    await abuseWith(await server.connect(undefined, from('2001:db8::1')));
    await refusedAt(server, '2001:db8::2');
    await refusedAt(server, '2001:db8::2');
    expect(warnings(server)).toEqual([
      expect.stringMatching(/anonymous clients of address 2001:db8::\/64.*rate_abuse.*30000 ms/),
      expect.stringMatching(/2001:db8::\/64 came back while banned \("rate_abuse"\)/),
    ]);
    await server.engine.ban('ada', { reason: 'spam' });
    clock.advance(10_000);
    await refusedAt(server, '9.9.9.9', 'ada');
    expect(warnings(server).at(-1)).toMatch(/User "ada" came back while banned \("spam"\) \(1 more/);
  });

  it('429 and 503, each with its option', async () => {
    const limits = { ...strict.limits, maxConnectionsPerAddress: 1, maxConnections: 2, connectsPerSecond: 2 };
    const server = await start({ settings: { ...strict, limits } });
    await server.open(from('9.9.9.1'));
    for (let time = 1; time <= 2; time++)
      expect((await Wire.refused(server.url, from('9.9.9.1'))).status).toBe(429);
    await server.open(from('9.9.9.2'));
    expect((await Wire.refused(server.url, from('9.9.9.3'))).status).toBe(503);
    expect(warnings(server)).toEqual([
      expect.stringMatching(
        /9\.9\.9\.1 was refused with 429.*limits\.maxConnectionsPerAddress is 1.*trustProxy/,
      ),
      expect.stringMatching(/9\.9\.9\.3 was refused with 503.*limits\.maxConnections is 2/),
    ]);
    server.engine.beginDrain();
    expect((await Wire.refused(server.url, from('9.9.9.3'))).status).toBe(503);
    expect(warnings(server).at(-1)).toMatch(/refused with 503: This node is not taking connections/);
  });
});

describe('what the application does to `connection.user` in place proves nothing (G10, G12)', () => {
  /** A row of the database, as guards write it over the user. */
  const row = { id: 'bob', role: 'admin' };
  const overwrite = ({ user }: RealtimeConnection): void => void Object.assign(user ?? {}, row);
  class Person {
    constructor(readonly name: string) {}

    get id(): string {
      return this.name;
    }

    greet(): string {
      return `I am ${this.name}`;
    }
  }
  const subscribe = (channel: string) => ({ type: 'subscribe', channel, payload: {} });

  it.each<[string, (name: string) => RealtimeIdentity]>([
    ['an object', (id) => ({ id })],
    ['a frozen object', (id) => Object.freeze({ id })],
    ['an object of a class', (name) => new Person(name) as unknown as RealtimeIdentity],
  ])(
    'the authenticator keeps %s for each token: own channel, ids and later connections stay',
    async (_, make) => {
      const cached = new Map<string, RealtimeIdentity>();
      const userOf = (id: string): RealtimeIdentity => {
        const user = cached.get(id) ?? make(id);
        cached.set(id, user);
        return user;
      };
      const seen: unknown[] = [];
      const server = await start({
        authenticator: { authenticate: ({ token = '' }) => ({ user: userOf(token) }) },
        onConnect: (connection) => {
          seen.push(connection.user?.id);
          overwrite(connection);
          return true;
        },
        channels: [
          wireChannel('rooms.:room', {
            behaviour: {
              authorize: {
                subscribe: ({ connection, user }) => {
                  overwrite(connection);
                  seen.push(user?.id, user?.['role'], connection.user?.['role']);
                  return true;
                },
              },
            },
          }),
        ],
        settings: { ...strict, limits: {} },
      });
      for (let time = 1; time <= 2; time++) {
        const ada = await server.connect('ada');
        expect(ada.welcome?.user).toBe('ada');
        await ada.call(subscribe('rooms.1'));
        expect((await ada.error(subscribe('$user.bob'))).code).toBe('forbidden');
        expect((await ada.call(subscribe('$user.ada'))).type).toBe('reply');
        expect((await ada.call({ type: 'auth', payload: { token: 'ada' } })).type).toBe('reply');
        expect((await ada.error(subscribe('$user.bob'))).code).toBe('forbidden');
        expect(server.engine.sessionsOf('ada')).toHaveLength(time);
        expect(server.engine.sessionsOf('ada')[0]?.user?.id).toBe('ada');
      }
      expect(seen).toEqual(Array(2).fill(['ada', 'ada', undefined, 'admin']).flat());
      expect(cached.get('ada')).toEqual(make('ada'));
    },
  );

  it('what the authenticator’s object becomes later changes nothing, and its class stays', async () => {
    const user = Object.assign(new Person('ada'), { role: 'guest' });
    let known: HandlerCall | undefined;
    const server = await start({
      authenticator: { authenticate: () => ({ user: user as unknown as RealtimeIdentity }) },
      channels: [
        wireChannel('rooms.:room', {
          behaviour: { authorize: { subscribe: (call) => (known = call) !== undefined } },
        }),
      ],
    });
    const ada = await server.connect('ada');
    Object.assign(user, { name: 'bob', role: 'admin' });
    await ada.call(subscribe('rooms.1'));
    for (const given of [known?.user, known?.connection.user]) {
      expect(given).toMatchObject({ id: 'ada', role: 'guest' });
      expect((given as unknown as Person).greet()).toBe('I am ada');
    }
    expect((await ada.error(subscribe('$user.bob'))).code).toBe('forbidden');
  });

  it('is copied again with each `auth`, whatever a guard made of it before', async () => {
    const seen: unknown[] = [];
    const look = ({ connection }: HandlerCall): boolean => {
      seen.push(connection.user?.['plan']);
      connection.user = { id: 'bob', plan: 'changed' };
      seen.push(connection.user.id);
      return true;
    };
    const server = await start({
      authenticator: { authenticate: ({ token = '' }) => ({ user: { id: 'ada', plan: token } }) },
      channels: [wireChannel('rooms.:room', { behaviour: { authorize: { subscribe: look } } })],
    });
    const ada = await server.connect('free');
    await ada.call(subscribe('rooms.1'));
    await ada.call(subscribe('rooms.2'));
    await ada.call({ type: 'auth', payload: { token: 'paid' } });
    await ada.call(subscribe('rooms.3'));
    expect(seen).toEqual(['free', 'bob', 'changed', 'bob', 'paid', 'bob']);
  });
});
