// What the broker needs of a server: commands, fields of INFO, connections, TLS. The user is that of docs/scaling.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { redisBroker, type RedisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { makeCertificate } from '../support/certificate.js';
import { POLICY, request, requests } from '../support/engine/append-requests.js';
import { patience, stretched } from '../support/patience.js';
import { redisCluster, type RedisClusterDeployment } from '../support/redis/cluster.js';
import { freePort, RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';

const SECRET = 'secret';
/** Used only with a replica, in a Cluster, or by one of ioredis 5 (`auth`) and 6 (`hello`). */
const ELSEWHERE = ['wait', 'cluster|slots', 'cluster|info', 'readonly', 'auth', 'hello'];
/** The line of the document. */
function documented(): string {
  const text = readFileSync(join(import.meta.dirname, '../../docs/scaling.md'), 'utf8');
  const [, line = ''] = /^```acl\n(user realtime .*)\n```$/m.exec(text) ?? [];
  return line;
}

/** What the server refused; newer ones also what ioredis says of itself, which it does without. */
function refused(log: unknown): readonly string[] {
  const entries = (log as readonly unknown[][]).map((fields) => String(fields[fields.indexOf('object') + 1]));
  return entries.filter((name) => name !== 'client|setinfo');
}

function allowed(): readonly string[] {
  return [...documented().matchAll(/ \+(\S+)/g)].map(([, name = '']) => name);
}

describe('what the broker needs of a server', () => {
  const made: RedisBroker[] = [];
  afterEach(async () => {
    await Promise.all(made.splice(0).map((broker) => broker.close()));
  });

  async function start(options: RedisBrokerOptions, id?: string) {
    const broker = redisBroker({
      connectTimeoutMs: patience(3_000),
      heartbeatMs: 100,
      unsubscribeLingerMs: 10,
      sweepMs: 50,
      ...options,
    });
    made.push(broker);
    const seen = new RecordingListener();
    await broker.start(seen, id);
    return { broker, seen };
  }

  function failure(options: RedisBrokerOptions): Promise<string> {
    return start(options).then(
      () => 'It started',
      (error: Error) => error.message,
    );
  }

  /** Everything that a broker does. Two nodes. */
  async function exercise(options: RedisBrokerOptions): Promise<void> {
    const [{ broker, seen }, other] = [await start(options, 'n1'), await start(options, 'n2')];
    const [room, full, brief] = ['rooms.1', 'rooms.2', 'rooms.3'];
    for (const channel of [room, full]) await broker.log.subscribe(channel);
    const few = { ...POLICY, size: 2 };
    await other.broker.log.appendMany(requests(room, 'a', 5));
    for (let round = 0; round < 4; round++)
      expect(
        await other.broker.log.appendMany(
          requests(full, `${round}-`, 3).map((one) => ({ ...one, policy: few })),
        ),
      ).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
    expect(
      await broker.log.appendMany([request(room, 'a1'), request(room, 'b', { after: 'a5' })]),
    ).toMatchObject([
      { ok: true, duplicate: true },
      { ok: true, duplicate: false },
    ]);
    await broker.log.appendMany([request(brief, 'x', { policy: { ...POLICY, retain: false } })]);
    await until('the events', () => seen.seqsOf(room).length === 6);
    await broker.log.unsubscribe(full);
    await broker.log.signal(room, { event: 'typing' });
    const page = await broker.log.read({ channel: room, from: 1, limit: 10 });
    expect(page.events).toHaveLength(6);
    await broker.log.read({ channel: room, from: 1, limit: 10, reverse: true });
    await broker.log.tips([room, full, 'rooms.none']);
    await broker.log.erase?.({ channel: room, seqs: [2, 6] });
    const ada = { channel: room, member: 'ada', device: 'd', generation: 1, data: { name: 'Ada' } };
    await broker.presence.enter(ada, stretched(10_000));
    await broker.presence.enter({ ...ada, member: 'bob' }, 1);
    await broker.presence.update({ ...ada, data: { name: 'A' } });
    await broker.presence.renew([ada], stretched(20_000));
    await until(
      'the end of bob',
      async () => (await other.broker.presence.members(room, { limit: 10 })).count === 1,
    );
    await broker.presence.leave(ada, 0);
    const hold = { channel: room, holder: 'n1', generation: 1 };
    await broker.transitions.hold([hold], stretched(10_000));
    await broker.transitions.hold([{ ...hold, channel: full }], 1);
    await broker.transitions.release(hold, 0);
    const taken = new Set<boolean>();
    await until('the transitions', async () => {
      const found = await broker.transitions.take(10);
      for (const { held } of found) taken.add(held);
      await broker.transitions.done(found.map(({ id }) => id));
      return taken.size === 2;
    });
    const whom = { of: 'user', id: 'eve' } as const;
    for (const record of [
      { kind: 'revoke', user: 'eve', scope: 'all' },
      { kind: 'ban', user: 'eve', forMs: 60_000 },
      { kind: 'restrict', act: 'mute', whom, channel: room, forMs: 60_000 },
      { kind: 'restrict', act: 'ban', whom, forMs: 1 },
      { kind: 'restrict', act: 'slow', whom: { of: 'everybody', id: '' }, everyMs: 5_000 },
    ] as const)
      expect(await broker.bus.control(record)).toEqual({ confirmed: ['n1', 'n2'], missing: [] });
    // In the order of their last signs of life.
    expect([...((await broker.bus.nodes?.()) ?? [])].sort()).toEqual(['n1', 'n2']);
    await broker.bus.send?.('n2', 'topic', Buffer.from('text'));
    // It reads what holds.
    const third = await start(options, 'n3');
    await third.broker.bus.control({ kind: 'unban', user: 'eve' });
    await third.broker.bus.control({ kind: 'lift', act: 'mute', whom, channel: room });
    await broker.probe(patience(2_000));
    await broker.inspect(patience(2_000));
    for (const one of [broker, other.broker, third.broker]) await one.close();
  }

  describe('with the user of the document', () => {
    let server: RedisProcess;
    let admin: Redis;
    let folder: string;
    let options: RedisBrokerOptions;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'rt-acl-'));
      const file = join(folder, 'users.acl');
      writeFileSync(file, `user default on nopass ~* &* +@all\n${documented()}\n`);
      server = await RedisProcess.start({ args: ['--aclfile', file] });
      admin = new Redis(server.url);
      options = { url: server.url, username: 'realtime', password: SECRET };
    });
    afterEach(async () => {
      await Promise.all(made.splice(0).map((broker) => broker.close()));
      await admin.flushall();
      await admin.call('ACL', 'LOAD');
      await admin.call('ACL', 'LOG', 'RESET');
    });
    afterAll(async () => {
      admin.disconnect();
      await server.dispose();
      rmSync(folder, { recursive: true });
    });

    it('does everything, is refused nothing, and uses all that it may', async () => {
      await admin.config('RESETSTAT');
      await exercise(options);
      expect(refused(await admin.call('ACL', 'LOG'))).toEqual([]);
      const used = new Set(
        [...(await admin.info('commandstats')).matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name),
      );
      const unused = allowed().filter((name) => !used.has(name) && !ELSEWHERE.includes(name));
      expect(unused).toEqual([]);
    });

    it('reaches no key and no topic of another prefix', async () => {
      await admin.set('other', '1');
      const client = new Redis(server.url, { username: 'realtime', password: SECRET });
      await expect(client.get('other')).rejects.toThrow('NOPERM');
      await expect(client.ssubscribe('other')).rejects.toThrow('NOPERM');
      await expect(client.config('GET', '*')).rejects.toThrow('NOPERM');
      client.disconnect();
      expect(await failure({ ...options, keyPrefix: 'other' })).toMatch(/docs\/scaling\.md/);
    });

    it.each([
      ['evalsha', /refuses a command that the broker needs.*evalsha.*docs\/scaling\.md/],
      ['hget', /refuses a command that the broker needs.*docs\/scaling\.md/],
      ['zadd', /refuses a command that the broker needs.*docs\/scaling\.md/],
      ['ssubscribe', /refuses a command that the broker needs.*ssubscribe.*docs\/scaling\.md/],
      ['info', /does not answer INFO.*docs\/scaling\.md/],
    ])('does not start without %s, and says what to allow', async (name, message) => {
      await admin.call('ACL', 'SETUSER', 'realtime', `-${name}`);
      expect(await failure(options)).toMatch(message);
    });

    it('starts where connections may have no names, as services may refuse CLIENT', async () => {
      await admin.call('ACL', 'SETUSER', 'realtime', '-client');
      const { broker } = await start(options);
      expect(await broker.log.appendMany([request('rooms.1', 'a')])).toMatchObject([{ ok: true }]);
    });

    it('has three connections for a node, and one more where an acknowledgement waits for replicas', async () => {
      const own = async () =>
        String(await admin.client('LIST'))
          .split('\n')
          .filter((line) => line.includes('user=realtime'))
          .map((line) => / name=(\S*)/.exec(line)?.[1])
          .sort();
      const { broker } = await start(options);
      const three = ['commands', 'messages', 'subscriber'].map((name) => `nestjs-realtime-${name}`);
      expect(await own()).toEqual(three);
      await broker.close();
      await until('the end of its connections', async () => (await own()).length === 0);
      await start({ ...options, durability: { level: 'replicated' } });
      expect(await own()).toEqual(['nestjs-realtime-appends', ...three]);
    });
  });

  it('acknowledges with a replica, as the user of the document', async () => {
    const master = await RedisProcess.start();
    const replica = await RedisProcess.start({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
    const admin = new Redis(master.url);
    try {
      await admin.call('ACL', 'SETUSER', ...documented().split(' ').slice(1));
      await until('the replica', async () => /state=online/.test(await admin.info('replication')));
      const { broker } = await start({
        url: master.url,
        username: 'realtime',
        password: SECRET,
        durability: { level: 'replicated', timeoutMs: patience(2_000) },
      });
      expect(await broker.log.appendMany([request('rooms.1', 'a')])).toMatchObject([{ ok: true }]);
      expect(refused(await admin.call('ACL', 'LOG'))).toEqual([]);
    } finally {
      admin.disconnect();
      await replica.dispose();
      await master.dispose();
    }
  });

  describe('of a Cluster', () => {
    let cluster: RedisClusterDeployment;
    let options: RedisBrokerOptions;

    beforeAll(async () => {
      cluster = await redisCluster();
      for (const { port } of cluster.servers)
        await cluster.cli('-p', String(port), 'ACL', 'SETUSER', ...documented().split(' ').slice(1));
      options = {
        cluster: { nodes: cluster.servers.map(({ port }) => ({ host: '127.0.0.1', port })) },
        username: 'realtime',
        password: SECRET,
      };
    }, patience(60_000));
    afterAll(() => cluster.dispose());

    it('is what the user of the document may do', async () => {
      await exercise(options);
      for (const { port } of cluster.servers)
        expect((await cluster.cli('-p', String(port), 'ACL', 'LOG')).trim()).toBe('');
    });

    it('is a bounded number of connections', async () => {
      const { broker } = await start(options);
      await broker.log.appendMany(Array.from({ length: 200 }, (_, index) => request(`rooms.${index}`, 'a')));
      const counts = await Promise.all(
        cluster.servers.map(async ({ port }) => {
          const lines = (await cluster.cli('-p', String(port), 'CLIENT', 'LIST')).split('\n');
          return lines
            .filter((line) => line.includes('user=realtime'))
            .map((line) => / name=(\S*)/.exec(line)?.[1] ?? '');
        }),
      );
      const names = counts.flat();
      const of = (name: string) => names.filter((one) => one === `nestjs-realtime-${name}`).length;
      expect([of('subscriber'), of('messages')]).toEqual([3, 1]);
      expect(of('commands')).toBeGreaterThanOrEqual(3);
      expect(names.length).toBeLessThanOrEqual(11);
      for (const one of counts) expect(one.length).toBeLessThanOrEqual(5);
    });
  });

  describe('over TLS', () => {
    let server: RedisProcess;
    const { key, cert } = makeCertificate('localhost');

    beforeAll(async () => {
      const plain = await RedisProcess.start();
      const [keyFile, certFile] = [join(plain.folder, 'key.pem'), join(plain.folder, 'cert.pem')];
      writeFileSync(keyFile, key);
      writeFileSync(certFile, cert);
      server = plain;
    });
    afterAll(() => server.dispose());

    it('connects with `rediss://` and an authority of its own, and refuses one that it does not know', async () => {
      const admin = new Redis(server.url);
      const port = await freePort();
      for (const [name, value] of [
        ['tls-cert-file', join(server.folder, 'cert.pem')],
        ['tls-key-file', join(server.folder, 'key.pem')],
        ['tls-ca-cert-file', join(server.folder, 'cert.pem')],
        ['tls-auth-clients', 'no'],
        ['tls-port', String(port)],
      ] as const)
        await admin.config('SET', name, value);
      const url = `rediss://localhost:${port}`;
      const { broker, seen } = await start({ url, tls: { ca: cert } });
      await broker.log.subscribe('rooms.1');
      expect(await broker.log.appendMany([request('rooms.1', 'a')])).toMatchObject([{ ok: true }]);
      await until('the event', () => seen.seqsOf('rooms.1').length === 1);
      const secured = String(await admin.client('LIST'))
        .split('\n')
        .filter((line) => line.includes(`:${port} `));
      expect(secured).toHaveLength(3);
      expect(await failure({ url, connectTimeoutMs: 500 })).toMatch(
        /cannot reach localhost:\d+ \(.*self.signed certificate/,
      );
      // Some are ended in their handshake: the certificate fails them, and so does the server's alert.
      const brief = Array.from({ length: 40 }, (_, index) => failure({ url, connectTimeoutMs: index + 1 }));
      for (const message of await Promise.all(brief)) expect(message).toContain('cannot reach localhost:');
      admin.disconnect();
    });
  });
});
