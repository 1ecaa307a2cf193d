import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { redisBroker } from '../../../lib/brokers/redis/index.js';
import { COUNT_INTERVAL_MS } from '../../../lib/core/hub/presence-feed.js';
import type { PresenceMember, PresencePage } from '../../../lib/protocol/messages.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { RedisProcess } from '../../support/redis/process.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireCluster } from '../../support/wire/cluster.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const ROOM = 'rooms.1';
const MAX = 10;
/** 90 % of it: where changes are told again. */
const RESUME = 9;
const FEATURE = { features: ['presence-count'] };

interface Nodes {
  readonly left: WireServer;
  readonly right: WireServer;
  readonly clock: ManualClock;
  close(): Promise<void>;
}

let redis: RedisProcess;
let nodes: Nodes;
beforeAll(async () => {
  redis = await RedisProcess.start({ durable: false });
});
afterEach(() => nodes.close());
afterAll(() => redis.dispose());

const optionsOf = (clock: ManualClock): Omit<WireServerOptions, 'broker' | 'entropy'> => ({
  clock,
  channels: [wireChannel('rooms.:room', { presence: { graceMs: 60_000, maxMembers: MAX } })],
  settings: {
    heartbeat: { intervalMs: 1e8, timeoutMs: 1e8 },
    limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0 },
  },
});

/** The clock is the nodes': it owns the interval of counts. Leases and graces of Redis run on its own. */
const BROKERS: Readonly<Record<string, () => Promise<Nodes>>> = {
  async memory() {
    const clock = new ManualClock();
    const cluster = await startWireCluster(2, { ...optionsOf(clock), clock });
    const [left, right] = cluster.nodes as [WireServer, WireServer];
    return { left, right, clock, close: () => cluster.close() };
  },
  async redis() {
    const clock = new ManualClock();
    const keyPrefix = `t${randomBytes(4).toString('hex')}`;
    const start = (number: number): Promise<WireServer> => {
      const options = optionsOf(clock);
      return startWireServer({
        ...options,
        broker: redisBroker({ url: redis.url, keyPrefix, partitions: 4 }),
        entropy: new SeededEntropy(number),
        settings: { ...options.settings, nodeId: `node-${number}` },
      });
    };
    const [left, right] = await Promise.all([start(1), start(2)]);
    return { left, right, clock, close: async () => void (await Promise.all([left.close(), right.close()])) };
  },
};

interface News {
  readonly epoch: string;
  readonly version: number;
  readonly previous?: number;
  readonly count?: number;
  readonly join?: readonly PresenceMember[];
  readonly update?: readonly PresenceMember[];
  readonly leave?: readonly string[];
}

/** A client as docs/protocol.md describes it, that knows the feature or not. */
class Member {
  members = new Map<string, PresenceMember>();
  counted = false;
  /** Whether the page had everybody. */
  private complete = true;
  count = 0;
  version = 0;
  epoch = '';
  /** How often it had to read the members anew. */
  readings = 0;
  /** Every `presence` message, in words. */
  readonly told: string[] = [];

  private constructor(
    readonly name: string,
    readonly client: WireClient,
    readonly node: WireServer,
    private readonly takesCounts: boolean,
  ) {}

  static async join(node: WireServer, name: string, hello: object = FEATURE): Promise<Member> {
    const client = await node.open({ name });
    await client.hello(name, { ...hello });
    const member = new Member(name, client, node, 'features' in hello);
    const { presence } = await client.subscribe(ROOM);
    member.read(presence as PresencePage);
    return member;
  }

  /** Takes in what has come so far. */
  async update(): Promise<this> {
    await this.client.call({ type: 'ping' });
    while (this.client.pending.length > 0) {
      const { payload } = await this.client.next('presence');
      await this.take(payload as unknown as News);
    }
    return this;
  }

  /** Waits until it knows this version, or a later one. */
  async reach(version: number): Promise<this> {
    await until(`version ${version}`, async () => (await this.update()).version >= version);
    return this;
  }

  /** Leaves, and waits until the broker knows it. */
  async bye(): Promise<void> {
    this.client.send({ type: 'bye', id: 'bye' });
    await this.client.expectClose(1000);
    await until(`${this.name} to have left`, async () => {
      const { members } = await truth(this.node);
      return !members.some(({ id }) => id === this.name);
    });
  }

  private async take(news: News): Promise<void> {
    const { epoch, version, previous, count } = news;
    if (previous === undefined) {
      expect(this.takesCounts).toBe(true);
      expect(Object.keys(news).sort()).toEqual(['count', 'epoch', 'version']);
      this.told.push(`=${count}`);
      if (epoch === this.epoch && version <= this.version) return;
      Object.assign(this, { counted: true, count, epoch, version });
      return;
    }
    const { join = [], update = [], leave = [] } = news;
    this.told.push(
      [
        ...join.map(({ id }) => `+${id}`),
        ...update.map(({ id }) => `~${id}`),
        ...leave.map((id) => `-${id}`),
      ].join(' '),
    );
    if (epoch === this.epoch && version <= this.version) return;
    if (this.counted || epoch !== this.epoch || previous !== this.version) return this.ask();
    this.version = version;
    for (const member of [...join, ...update]) this.members.set(member.id, member);
    for (const id of leave) this.members.delete(id);
    this.count = count ?? this.members.size;
    if (this.complete) expect(this.members.size).toBe(count);
  }

  private async ask(): Promise<void> {
    this.readings++;
    const payload = { limit: 1_000 };
    this.read(
      (await this.client.reply({ type: 'presence', channel: ROOM, payload })) as unknown as PresencePage,
    );
  }

  private read({ epoch, version, members, count, counted }: PresencePage): void {
    if (!this.takesCounts) expect(counted).toBeUndefined();
    Object.assign(this, { epoch, version, count, counted: counted === true });
    this.complete = members.length === count;
    this.members = new Map(members.map((member) => [member.id, member]));
  }
}

const join = (names: readonly string[]): Promise<Member[]> =>
  Promise.all(names.map((name, index) => Member.join(index % 2 === 0 ? nodes.left : nodes.right, name)));

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);

const truth = (node: WireServer): Promise<PresencePage> =>
  node.engine.application.members(ROOM, { limit: 1_000 });

describe.each(Object.keys(BROKERS))('large channels on the %s broker (G19)', (broker) => {
  const start = async (): Promise<void> => {
    nodes = await (BROKERS[broker] as () => Promise<Nodes>)();
  };

  it('member counts are used only for clients that name the feature (P22, P22a)', async () => {
    await start();
    const [knows, knowsNot] = [await nodes.left.open(), await nodes.left.open()];
    expect(await knows.hello('ada', { features: ['delta', 'presence-count'] })).toMatchObject({
      features: ['presence-count'],
    });
    expect(await knowsNot.hello('bob', { features: ['delta'] })).toMatchObject({ features: [] });
  });

  it('above maxMembers a client gets the first members and then counts; a client without the feature gets each change (P22a, G19)', async () => {
    await start();
    const watcher = await Member.join(nodes.left, 'watcher');
    const old = await Member.join(nodes.left, 'veteran', {});
    await join(names('u', MAX - 2));
    await old.reach((await truth(nodes.left)).version);
    await watcher.update();
    expect(watcher).toMatchObject({ counted: false, count: MAX, readings: 0 });
    expect([...watcher.members.keys()].sort()).toEqual([...old.members.keys()].sort());

    watcher.told.length = old.told.length = 0;
    for (const name of ['more1', 'more2', 'more3']) await Member.join(nodes.right, name);
    const { version, count } = await truth(nodes.right);
    await old.reach(version);
    await watcher.update();
    expect(old.told).toEqual(['+more1', '+more2', '+more3']);
    expect(watcher.told).toEqual([`=${MAX + 1}`]);
    nodes.clock.advance(COUNT_INTERVAL_MS);
    await watcher.update();
    expect(watcher.told).toEqual([`=${MAX + 1}`, `=${MAX + 3}`]);
    expect(watcher).toMatchObject({ counted: true, count, version, readings: 0 });
    // Those who were known stay known.
    expect(watcher.members.size).toBe(MAX);
    expect(old).toMatchObject({ counted: false, count, version, readings: 0 });

    const newcomer = await Member.join(nodes.right, 'newcomer');
    expect(newcomer).toMatchObject({ counted: true, count: count + 1 });
    expect(newcomer.members.size).toBe(count + 1);
    expect(await Member.join(nodes.right, 'plain', {})).toMatchObject({ counted: false, count: count + 2 });
  });

  it('counts are sent at most once per interval, and only when they change (P22b)', async () => {
    await start();
    const watcher = await Member.join(nodes.left, 'watcher');
    const sentinel = await Member.join(nodes.left, 'sentinel', {});
    const people = await join(names('u', 2 * MAX));
    const caughtUp = async (): Promise<void> => {
      await sentinel.reach((await truth(nodes.left)).version);
      await watcher.update();
    };
    await caughtUp();
    nodes.clock.advance(COUNT_INTERVAL_MS);
    await watcher.update();
    expect(watcher.count).toBe(2 * MAX + 2);
    watcher.told.length = 0;
    nodes.clock.advance(10 * COUNT_INTERVAL_MS);
    await watcher.update();
    expect(watcher.told).toEqual([]);
    for (const [index, person] of people.slice(0, 5).entries()) {
      await person.bye();
      await caughtUp();
      nodes.clock.advance(COUNT_INTERVAL_MS / 4);
      await watcher.update();
      // The first at once, the rest when the interval is over.
      expect(watcher.told).toEqual(index < 3 ? [`=${2 * MAX + 1}`] : [`=${2 * MAX + 1}`, `=${2 * MAX - 2}`]);
    }
    nodes.clock.advance(COUNT_INTERVAL_MS);
    await watcher.update();
    expect(watcher.told.at(-1)).toBe(`=${2 * MAX - 3}`);
    expect(watcher.told).toHaveLength(3);
  });

  it('a channel that shrinks sends changes again after everybody reads the members again, but not directly below the limit (P22c)', async () => {
    await start();
    const watcher = await Member.join(nodes.left, 'watcher');
    const sentinel = await Member.join(nodes.left, 'sentinel', {});
    const people = await join(names('u', MAX));
    const caughtUp = async (): Promise<void> => {
      await sentinel.reach((await truth(nodes.left)).version);
      nodes.clock.advance(COUNT_INTERVAL_MS);
      await watcher.reach(sentinel.version);
      expect(watcher.count).toBe(sentinel.count);
    };
    await caughtUp();
    expect(watcher).toMatchObject({ counted: true, count: MAX + 2 });
    for (let count = MAX + 1; count > RESUME; count--) {
      await people.pop()?.bye();
      await caughtUp();
      expect(watcher).toMatchObject({ counted: true, count, readings: 0 });
    }
    await people.pop()?.bye();
    await caughtUp();
    expect(watcher).toMatchObject({ counted: false, count: RESUME, readings: 1 });
    expect(watcher.told.at(-1)).toBe('');
    expect(watcher.members).toEqual(sentinel.members);

    // Up to the border, and beyond it, once.
    watcher.told.length = 0;
    await Member.join(nodes.right, 'one more');
    await caughtUp();
    expect(watcher.told).toEqual(['+one more']);
    expect(watcher.members).toEqual(sentinel.members);
    await Member.join(nodes.right, 'too many');
    await caughtUp();
    expect(watcher.told).toEqual(['+one more', `=${MAX + 1}`]);
    expect(watcher.readings).toBe(1);
  });

  it('a mass reconnect costs each client only a few messages (G19, P22b)', async () => {
    await start();
    const COUNT = 120;
    const people = await join(names('u', COUNT));
    const { version } = await truth(nodes.left);
    const sentinels = await Promise.all(
      [nodes.left, nodes.right].map((node) => Member.join(node, 'sentinel', {})),
    );
    const settle = async (): Promise<void> => {
      const now = (await truth(nodes.left)).version;
      for (const sentinel of sentinels) await sentinel.reach(now);
      nodes.clock.advance(COUNT_INTERVAL_MS);
      for (const person of people) await person.update();
    };
    await settle();
    expect(version).toBeGreaterThan(MAX);
    // One each while it was small, then counts: the first, and one for the interval that passed.
    for (const { told } of people) expect(told.length).toBeLessThanOrEqual(MAX + 2);
    expect(new Set(people.map(({ count }) => count))).toEqual(new Set([COUNT + 1]));

    // Everybody loses the connection, and comes back with a new one before the grace is over.
    const watchers = await Promise.all([nodes.left, nodes.right].map((node) => Member.join(node, 'watcher')));
    await settle();
    for (const watcher of watchers) (await watcher.update()).told.length = 0;
    const tickets = people.map(({ client }) => client.welcome?.session);
    for (const { client } of people) client.terminate();
    const sessions = () => nodes.left.engine.status.sessions + nodes.right.engine.status.sessions;
    await until('the sessions to end', () => sessions() === sentinels.length + watchers.length);
    people.length = 0;
    people.push(
      ...(await Promise.all(
        tickets.map((session, index) =>
          Member.join(index % 2 === 0 ? nodes.right : nodes.left, `u${index + 1}`, { ...FEATURE, session }),
        ),
      )),
    );
    await settle();
    for (const { told, count } of [...people, ...watchers]) {
      expect(told.length).toBeLessThanOrEqual(2);
      expect(count).toBe(COUNT + 2);
    }
  });

  it('every client knows the number of members, and the members where it follows them, after any steps (seeded) (G19, P22a, P22c)', async () => {
    await start();
    const random = new SeededEntropy(23);
    const watchers = await Promise.all([
      Member.join(nodes.left, 'w1'),
      Member.join(nodes.right, 'w2'),
      Member.join(nodes.left, 'w3', {}),
      Member.join(nodes.right, 'w4', {}),
    ]);
    let people: Member[] = [];
    let modes = '';
    for (let round = 0; round < 64; round++) {
      const node = random.pick([nodes.left, nodes.right]);
      // Waves, so that the border is crossed in both directions.
      const grows = random.int(10) < (Math.floor(round / 16) % 2 === 0 ? 9 : 1);
      if (grows) people.push(await Member.join(node, `u${round}`, random.int(4) === 0 ? {} : FEATURE));
      else await people.splice(random.int(Math.max(1, people.length)), 1)[0]?.bye();
      if (random.int(3) === 0) nodes.clock.advance(random.int(2 * COUNT_INTERVAL_MS));
      if (random.int(4) === 0) await random.pick(watchers).update();
      if (round % 5 !== 4) continue;
      const { version, count, members } = await truth(node);
      for (const watcher of watchers.filter((_, index) => index >= 2)) await watcher.reach(version);
      nodes.clock.advance(COUNT_INTERVAL_MS);
      const everybody = [...watchers, ...people];
      for (const member of everybody) {
        await member.reach(version);
        expect(member).toMatchObject({ count });
        if (!member.counted) expect(member.members).toEqual(new Map(members.map((one) => [one.id, one])));
      }
      people = people.filter(({ client }) => client.ended === undefined);
      modes += watchers[0]?.counted === true ? 'c' : 'm';
    }
    // It was large and small again, and more than once.
    expect(modes).toMatch(/m.*c.*m/);
    for (const watcher of watchers.slice(2)) expect(watcher.readings).toBe(0);
  });
});
