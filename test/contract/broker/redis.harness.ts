import { randomBytes } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import {
  RecordingListener,
  type BrokerFaults,
  type BrokerHarness,
  type BrokerHarnessFactory,
  type ContractNode,
  type ContractWindows,
} from '../../../lib/brokers/contract/index.js';
import { redisBroker, type RedisBroker, type RedisBrokerOptions } from '../../../lib/brokers/redis/index.js';
import { RedisKeys } from '../../../lib/brokers/redis/keys.js';
import { settle } from '../../support/engine/manual-clock.js';
import { elapse, stretched } from '../../support/patience.js';
import type { RedisDeployment } from '../../support/redis/deployment.js';
import { until } from '../../support/until.js';

const SLACK_MS = stretched(120);

/**
 * Short, because the tests wait for the time of a real server. What a test does within a window has a second to spare, and
 * the slack that it waits on top of a part of a window must not reach the window's end.
 */
const window = (ms: number): number => Math.max(ms, 4 * SLACK_MS);

const WINDOWS: ContractWindows = {
  dedupeMs: window(3_000),
  ttlMs: window(2_000),
  leaseMs: window(2_500),
  graceMs: window(1_500),
  controlTimeoutMs: 2_000,
  slackMs: SLACK_MS,
};

const PARTITIONS = 16;
/** Signals of this name are the harness's own: they show that whatever was sent before them has arrived. */
const MARK = 'harness-mark-';

/** Redis brokers over a real deployment, which outlives the tests; each test has keys of its own. */
export function redisHarness(
  deployment: () => RedisDeployment,
  faults: readonly (keyof BrokerFaults)[],
): BrokerHarnessFactory {
  return {
    capabilities: { durability: 'broker', dedupes: true, presence: true },
    faults,
    bounds: ['historyBytes', 'idsOfProducer'],
    messages: true,
    transitions: true,
    erases: true,
    create: async () => createHarness(deployment(), faults),
  };
}

async function createHarness(
  deployment: RedisDeployment,
  faults: readonly (keyof BrokerFaults)[],
): Promise<BrokerHarness> {
  const nodes: ContractNode[] = [];
  const valves = new Map<ContractNode, Valve>();
  const keyPrefix = `t${randomBytes(4).toString('hex')}`;
  const keys = new RedisKeys(keyPrefix, PARTITIONS);
  const markChannels = oneOfEachPartition(keys);
  /** A mark in every partition reaches every node, behind all that was sent before it; then what it started is over. */
  const quiet = async (): Promise<void> => {
    const mark = `${MARK}${randomBytes(4).toString('hex')}`;
    const listening: ContractNode[] = [];
    for (const node of nodes) {
      const subscribed = await Promise.all(markChannels.map((name) => node.broker.log.subscribe(name))).then(
        () => true,
        // It was closed.
        () => false,
      );
      if (subscribed) listening.push(node);
    }
    const [sender] = listening;
    await Promise.all(markChannels.map(async (name) => sender?.broker.log.signal(name, { event: mark })));
    await until('the marks', () =>
      listening.every((node) => (valves.get(node)?.marks.get(mark) ?? 0) === PARTITIONS),
    );
    await Promise.all(listening.map((node) => node.broker.log.tips(markChannels)));
    await settle();
  };
  // The times of Redis are those of its server, whose clock a test cannot move.
  const all: Partial<BrokerFaults> = {
    loseEverything: async () => deployment.flush(),
    restart: () => deployment.restart(),
    loseEnd: (channel, keep) => deployment.loseEnd(keys, channel, keep),
    spoilEvent: (channel, seq) => deployment.spoilEvent(keys, channel, seq),
    async loseDeliveries(node, during) {
      const valve = valves.get(node);
      if (valve === undefined) throw new Error('The node is not of this harness');
      valve.shut = true;
      await during();
      await quiet();
      valve.shut = false;
    },
  };
  /** Its nodes are of no concern to {@link quiet}. */
  const crowded: RedisBroker[] = [];
  return {
    windows: WINDOWS,
    runs: 8,
    faults: Object.fromEntries(faults.map((name) => [name, all[name]])),
    async node() {
      const valve: Valve = { shut: false, marks: new Map() };
      const options: RedisBrokerOptions = {
        ...deployment.options,
        client: withValve(deployment.client(), valve),
        keyPrefix,
        partitions: PARTITIONS,
        controlTimeoutMs: WINDOWS.controlTimeoutMs,
        // Losses are the faults' own business here; the check has tests of its own.
        tipCheck: { intervalMs: 600_000 },
        unsubscribeLingerMs: 20,
        sweepMs: 40,
        maxReconnectMs: 100,
      };
      const node: ContractNode = {
        id: `node${nodes.length + 1}`,
        broker: redisBroker(options),
        seen: new RecordingListener(),
      };
      nodes.push(node);
      valves.set(node, valve);
      await node.broker.start(node.seen, node.id);
      return node;
    },
    async crowdedNode() {
      const broker = redisBroker({
        ...deployment.options,
        client: deployment.client(),
        keyPrefix: `${keyPrefix}-crowded`,
        maxIdsPerProducer: 50,
      });
      crowded.push(broker);
      const seen = new RecordingListener();
      await broker.start(seen);
      return { id: 'crowded', broker, seen };
    },
    advance: elapse,
    quiet,
    async dispose() {
      for (const broker of [...crowded, ...nodes.map((node) => node.broker)]) await broker.close();
    },
  };
}

/** Whether pub/sub messages are lost at the node's door. */
interface Valve {
  shut: boolean;
  /** How often each mark came by. */
  readonly marks: Map<string, number>;
}

/** Names of channels, one in each partition. */
function oneOfEachPartition(keys: RedisKeys): readonly string[] {
  const found = new Map<number, string>();
  for (let number = 0; found.size < PARTITIONS; number++) {
    const name = `harness.${number}`;
    found.set(keys.partitionOf(name), name);
  }
  return [...found.values()];
}

/** The template's copies, which the broker makes for itself, lose messages while the valve is shut. */
function withValve<T extends Redis | Cluster>(client: T, valve: Valve): T {
  const door = client as unknown as Door<T>;
  const emit = door.emit.bind(client);
  const duplicate = door.duplicate.bind(client);
  door.emit = (event, ...args) => {
    if (!event.startsWith('smessage')) return emit(event, ...args);
    const [mark] = new RegExp(`${MARK}\\w+`).exec(String(args[1])) ?? [];
    if (mark === undefined) return valve.shut || emit(event, ...args);
    if (event === 'smessageBuffer') valve.marks.set(mark, (valve.marks.get(mark) ?? 0) + 1);
    return true;
  };
  door.duplicate = (...args) => withValve(duplicate(...args), valve);
  // In a Cluster subscriptions are copies of the connections to its nodes.
  if (client.isCluster) client.on('+node', (node: Redis) => void withValve(node, valve));
  return client;
}

interface Door<T> {
  emit(event: string, ...args: readonly unknown[]): boolean;
  duplicate(...args: readonly unknown[]): T;
}
