// A node and the master of its Sentinels are cut off together: both work as before, while another server has taken the
// master's place. What is revoked there cannot reach the node.
import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { CONTROL_CHANNEL, RedisKeys } from '../../lib/brokers/redis/keys.js';
import type { ControlReceipt } from '../../lib/core/ports/control.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { redisCluster } from '../support/redis/cluster.js';
import { cutCluster } from '../support/redis/cut-cluster.js';
import { CutRelay } from '../support/redis/cut-relay.js';
import { redisSentinels, type SentinelDeployment } from '../support/redis/sentinels.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireClient } from '../support/wire/client.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';

const HEARTBEAT_MS = 100;
const COMMAND_MS = stretched(500);
/** Replicas acknowledge once a second. */
const BOUND = 2 * HEARTBEAT_MS + COMMAND_MS + 1_000 + stretched(500);
const NODE_TTL_MS = BOUND + stretched(500);
const ROOM = 'rooms.1';
const NEWS = 'news.1';

/** Users whose access the application has taken away; revoking ends what they have. */
const denied = new Set<string>();
const toClose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  denied.clear();
  for (const close of toClose.splice(0).reverse()) await close();
});

async function node(nodeId: string, seed: number, options: RedisBrokerOptions): Promise<WireServer> {
  const server = await startWireServer({
    broker: redisBroker({
      heartbeatMs: HEARTBEAT_MS,
      commandTimeoutMs: COMMAND_MS,
      controlMaxAgeMs: BOUND,
      nodeTtlMs: NODE_TTL_MS,
      controlTimeoutMs: stretched(300),
      maxReconnectMs: 50,
      partitions: 4,
      onWarning: () => undefined,
      ...options,
    }),
    entropy: new SeededEntropy(seed),
    settings: { nodeId },
    channels: [
      wireChannel('rooms.:room', {
        behaviour: { authorize: { subscribe: ({ user }) => !denied.has(user?.id ?? '') } },
      }),
      wireChannel('news.:topic'),
    ],
  });
  toClose.push(() => server.close());
  return server;
}

interface Cut {
  readonly sentinels: SentinelDeployment;
  /** On the side of the old master. */
  readonly left: WireServer;
  /** On the side of the Sentinels and the replica. */
  readonly right: WireServer;
  /** @param isWhole Whether the left node is cut off too, or the old master alone. Default `true`. */
  cut(isWhole?: boolean): void;
  heal(): void;
}

async function deployment(options: RedisBrokerOptions = {}): Promise<Cut> {
  const ways: CutRelay[] = [];
  const way = async (port: number): Promise<number> => {
    const relay = await CutRelay.start(port);
    toClose.push(() => relay.close());
    ways.push(relay);
    return relay.port;
  };
  let master = { way: 0, port: 0 };
  const sentinels = await redisSentinels(stretched(1_000), async (port) => {
    master = { way: await way(port), port };
    return master.way;
  });
  toClose.push(() => sentinels.dispose());
  const { name = '', sentinels: [first] = [] } = (sentinels.client() as Redis).options;
  const near = new Redis({
    name,
    sentinels: [{ host: '127.0.0.1', port: await way(first?.port ?? 0) }],
    // The others could be asked past the cut.
    updateSentinels: false,
    natMap: { [`127.0.0.1:${master.way}`]: { host: '127.0.0.1', port: master.port } },
    lazyConnect: true,
  });
  const left = await node('left', 1, { client: near, ...options });
  const right = await node('right', 2, { client: sentinels.client(), ...options });
  return {
    sentinels,
    left,
    right,
    cut: (isWhole = true) => (isWhole ? ways : ways.slice(0, 1)).forEach((relay) => relay.cut()),
    heal: () => ways.forEach((relay) => relay.heal()),
  };
}

const idsOf = (client: WireClient, channel: string) =>
  client.received.flatMap((message) =>
    message.type === 'event' && message.channel === channel ? [message.id] : [],
  );

const say = (server: WireServer, channel: string, id: string) =>
  server.engine.application.publish(channel, 'said', id, { id }).catch(() => undefined);

/** Revokes until it is accepted, as an administrator does. */
async function revoked(server: WireServer, user: string, channel = ROOM): Promise<ControlReceipt> {
  let receipt: ControlReceipt | undefined;
  await until(`the revoke of ${user}`, async () => {
    receipt = await server.engine.revoke(user, channel).catch(() => undefined);
    return receipt !== undefined;
  });
  return receipt as ControlReceipt;
}

describe('a node that is cut off together with the old master', () => {
  it(
    'delivers nothing of private channels after the bound, and no receipt of either side leaves out a node that delivers (G11)',
    async () => {
      const { sentinels, left, right, cut, heal } = await deployment();
      const eve = await left.connect('eve');
      for (const channel of [ROOM, NEWS]) await eve.subscribe(channel);
      await say(right, ROOM, 'before');
      await until('the first', () => idsOf(eve, ROOM).includes('before'));
      await until('proofs', () => !left.engine.status.withholding && !right.engine.status.withholding);

      cut();
      const cutAt = performance.now();
      const since = () => performance.now() - cutAt;
      let said = 0;
      let lastAt = 0;
      const unfollow = async () => {
        while (!stopped) {
          const id = `cut-${(said += 1)}`;
          await say(left, ROOM, id);
          await elapse(10);
          if (idsOf(eve, ROOM).includes(id)) lastAt = since();
        }
      };
      let stopped = false;
      const saying = unfollow();
      await sentinels.promoted(sentinels.replica);
      denied.add('eve');
      const first = await revoked(right, 'eve');
      // It ran a moment ago, and nobody on this side can know what it does.
      expect(first).toEqual({ confirmed: ['right'], missing: ['left'] });
      await until('the node to withhold', () => left.engine.status.withholding);
      expect(left.engine.status.withholding).toBe(true);
      await until('the life of its last heartbeat to end on both sides', () => since() > 2 * NODE_TTL_MS);
      stopped = true;
      await saying;
      expect(said).toBeGreaterThan(10);
      expect(lastAt).toBeGreaterThan(0);
      expect(lastAt).toBeLessThan(BOUND + stretched(250));
      // What is public flows.
      await say(left, NEWS, 'public');
      await until('the public event', () => idsOf(eve, NEWS).includes('public'));

      // The old master has forgotten the other side; the node has not, as nothing proved since that it may.
      const lost = await left.engine.revoke('zoe', ROOM);
      expect(lost).toEqual({ confirmed: ['left'], missing: ['right'] });

      // One that starts there now has no proof at all.
      const late = await node('late', 3, { url: sentinels.master.url, controlReplicas: 1 });
      expect(late.engine.status.withholding).toBe(true);

      heal();
      await eve.take({ type: 'unsubscribed', channel: ROOM });
      await until('the way back', () => !left.engine.status.withholding);
      const whole = await revoked(right, 'zoe');
      expect([...whole.confirmed].sort()).toEqual(['left', 'right']);
      // What was withheld is not sent after all.
      expect(idsOf(eve, ROOM)).not.toContain(`cut-${said}`);
    },
    patience(60_000),
  );

  it(
    'follows the Sentinels when only the old master is cut off from them, though that answers as before (G6, G11)',
    async () => {
      const { sentinels, left, right, cut } = await deployment();
      const eve = await left.connect('eve');
      await eve.subscribe(ROOM);
      cut(false);
      await sentinels.promoted(sentinels.replica);
      await until('an event of the other side', async () => {
        await say(right, ROOM, 'after');
        return idsOf(eve, ROOM).includes('after');
      });
      await until('proofs', () => !left.engine.status.withholding);
      await until('both to confirm', async () => (await revoked(right, 'zoe')).confirmed.length === 2);
    },
    patience(60_000),
  );
});

describe('a node that is cut off together with a master of a Cluster', () => {
  it(
    'delivers nothing of private channels once that master misses the others, and is silent before a revoke can be accepted (G11)',
    async () => {
      const timeoutMs = stretched(1_000);
      const cluster = await redisCluster(timeoutMs);
      toClose.push(() => cluster.dispose());
      const keys = new RedisKeys('rt', 4);
      const { server: master } = await cluster.masterOf(keys.meta);
      const ways = await cutCluster(cluster, master);
      toClose.push(() => ways.close());
      // On the master of the control records.
      const wanted = keys.partitionOf(CONTROL_CHANNEL);
      const room = Array.from({ length: 100 }, (_, index) => `rooms.${index}`).find(
        (name) => keys.partitionOf(name) === wanted,
      ) as string;
      const left = await node('left', 1, { client: ways.near() });
      const others = cluster.servers.filter((server) => server !== master);
      const right = await node('right', 2, {
        cluster: { nodes: others.map(({ port }) => ({ host: '127.0.0.1', port })) },
      });
      const eve = await left.connect('eve');
      await eve.subscribe(room);
      await say(right, room, 'before');
      await until('the first', () => idsOf(eve, room).includes('before'));
      await until('proofs', () => !left.engine.status.withholding && !right.engine.status.withholding);

      ways.cut();
      const cutAt = performance.now();
      const since = () => performance.now() - cutAt;
      let said = 0;
      let lastAt = 0;
      let stopped = false;
      const saying = (async () => {
        while (!stopped) {
          const id = `cut-${(said += 1)}`;
          await say(left, room, id);
          await elapse(10);
          if (idsOf(eve, room).includes(id)) lastAt = since();
        }
      })();
      denied.add('eve');
      const first = await revoked(right, 'eve', room);
      const revokedAt = since();
      // It ran a moment ago, and nobody on this side can know what it does.
      expect(first).toEqual({ confirmed: ['right'], missing: ['left'] });
      await until('the node to withhold', () => left.engine.status.withholding);
      const withheldAt = since();
      await until(
        'the life of its last heartbeat to end on both sides',
        () => since() > timeoutMs + NODE_TTL_MS,
      );
      stopped = true;
      await saying;
      expect(said).toBeGreaterThan(10);
      expect(lastAt).toBeGreaterThan(0);
      // The master refuses everything once it has missed the others for its time.
      expect(lastAt).toBeLessThan(2 * timeoutMs + stretched(500));
      expect(lastAt).toBeLessThan(revokedAt);
      expect(withheldAt).toBeLessThan(2 * timeoutMs + BOUND + stretched(500));
      // It is master to itself, and knows that it is alone.
      const of = async (...command: readonly string[]) => cluster.cli('-p', String(master.port), ...command);
      expect(await of('INFO', 'replication')).toContain('role:master');
      expect(await of('CLUSTER', 'INFO')).toContain('cluster_state:fail');

      ways.heal();
      await eve.take({ type: 'unsubscribed', channel: room });
      await until('the way back', () => !left.engine.status.withholding);
      await until('both to confirm', async () => (await revoked(right, 'zoe', room)).confirmed.length === 2);
      expect(idsOf(eve, room)).not.toContain(`cut-${said}`);
    },
    patience(90_000),
  );
});
