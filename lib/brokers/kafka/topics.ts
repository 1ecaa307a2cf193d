import { LogSetupError, type LogWeakness } from '../replicated/ordered-log.js';
import type { KafkaCluster, TopicDescription } from './cluster.js';
import { Code, messageOf } from './codes.js';
import type { LogDeps } from '../replicated/log-deps.js';
import type { KafkaLogSettings } from './options.js';

const TOPIC_RESOURCE = 2;
/** What a record takes beside its bytes, amply. */
const HEAD_BYTES = 1_024;
/** Signals are of use for a moment. */
const SIGNALS_MS = 60_000;
/** Pause between two looks whether a new topic has its leaders. */
const LOOK_MS = 100;

/** Names of the topics of a log. */
export function topicNames(topic: string): { log: string; checkpoints: string; signals: string } {
  return { log: topic, checkpoints: `${topic}.checkpoints`, signals: `${topic}.signals` };
}

/** How an existing setting is judged: `undefined` when it is right, otherwise what it must be. */
type Judge = (value: string) => string | undefined;

/** What the log asks of a topic. */
interface Wanted {
  readonly name: string;
  readonly partitions: number;
  readonly configs: Readonly<Record<string, string>>;
  readonly judges: Readonly<Record<string, Judge>>;
}

/** What is known of the topics once they are there. */
export interface PreparedTopics {
  readonly minInsyncReplicas: number;
  readonly weaknesses: readonly LogWeakness[];
}

/**
 * Makes the topics that are missing and checks those that are there.
 *
 * @throws LogSetupError that says for each topic what to change
 */
export async function prepareTopics(cluster: KafkaCluster, deps: LogDeps): Promise<PreparedTopics> {
  const { settings } = cluster;
  const problems: string[] = [];
  const configs = new Map<string, ReadonlyMap<string, string>>();
  for (const wanted of wantedTopics(settings)) {
    if (cluster.topic(wanted.name) === undefined) await createTopic(cluster, wanted);
    const topic = await withLeaders(cluster, wanted);
    const found = await describe(cluster, wanted);
    configs.set(wanted.name, found);
    problems.push(...mismatches(topic, found, wanted, settings, deps));
  }
  if (problems.length > 0) throw new LogSetupError(`kafkaBroker: ${problems.join('; ')}.`);
  const log = configs.get(settings.topic);
  return { minInsyncReplicas: Number(log?.get('min.insync.replicas') ?? 1), weaknesses: weaknessesOf(log) };
}

function* wantedTopics(settings: KafkaLogSettings): Generator<Wanted> {
  const { log, checkpoints, signals } = topicNames(settings.topic);
  const { maxRecordBytes, minInsyncReplicas, partitions, retentionMs } = settings;
  const largest = maxRecordBytes + HEAD_BYTES;
  const configs = {
    'cleanup.policy': 'delete',
    'retention.ms': String(retentionMs),
    'min.insync.replicas': String(minInsyncReplicas),
    'max.message.bytes': String(largest),
    'unclean.leader.election.enable': 'false',
  };
  const kept: Readonly<Record<string, Judge>> = {
    'cleanup.policy': (value) => (value === 'delete' ? undefined : 'delete'),
    'retention.ms': (value) => atLeast(value, retentionMs, '`retentionMs`'),
    'min.insync.replicas': (value) => atLeast(value, minInsyncReplicas, '`minInsyncReplicas`'),
    'max.message.bytes': (value) => atLeast(value, largest, '`maxRecordBytes` and 1024 more'),
    'compression.type': (value) => (['producer', 'uncompressed'].includes(value) ? undefined : 'producer'),
  };
  yield {
    name: log,
    partitions,
    configs: { ...configs, 'message.timestamp.type': 'LogAppendTime' },
    judges: {
      ...kept,
      // Machine time is that of the log; a writer's clock may say anything.
      'message.timestamp.type': (value) => (value === 'LogAppendTime' ? undefined : 'LogAppendTime'),
    },
  };
  yield { name: checkpoints, partitions, configs, judges: kept };
  yield {
    name: signals,
    partitions: 1,
    configs: {
      ...configs,
      'retention.ms': String(SIGNALS_MS),
      'segment.ms': String(SIGNALS_MS),
      'min.insync.replicas': '1',
    },
    judges: { 'max.message.bytes': kept['max.message.bytes'] ?? (() => undefined) },
  };
}

function atLeast(value: string, least: number, option: string): string | undefined {
  // -1: without a limit.
  return Number(value) === -1 || Number(value) >= least ? undefined : `at least ${least}, as ${option} says`;
}

async function createTopic(cluster: KafkaCluster, wanted: Wanted): Promise<void> {
  const { driver, settings } = cluster;
  const command = createCommand(wanted, settings);
  if (!settings.createTopics)
    throw new LogSetupError(`kafkaBroker: the topic ${wanted.name} is missing. Make it: ${command}`);
  const topic = {
    name: wanted.name,
    numPartitions: wanted.partitions,
    replicationFactor: settings.replicas,
    assignments: [],
    configs: Object.entries(wanted.configs).map(([name, value]) => ({ name, value })),
  };
  const connection = await cluster.controller();
  const { topics } = await connection.call(
    driver.createTopicsV7.api,
    [topic],
    settings.requestTimeoutMs,
    false,
  );
  const { errorCode = -1, errorMessage } = topics[0] ?? {};
  // Another node may have made it at the same time.
  if (errorCode === Code.none || errorCode === Code.topicAlreadyExists) return;
  const isDenied =
    errorCode === Code.topicAuthorizationFailed || errorCode === Code.clusterAuthorizationFailed;
  const reason = isDenied ? 'Kafka does not permit it' : (errorMessage ?? `error ${errorCode}`);
  throw new LogSetupError(
    `kafkaBroker: the topic ${wanted.name} cannot be made: ${reason}. ${
      isDenied
        ? 'Grant Create on the topic, or make it'
        : 'For fewer brokers set `replicas`, or make the topic'
    }: ${command}`,
  );
}

function createCommand({ configs, name, partitions }: Wanted, { replicas }: KafkaLogSettings): string {
  const settings = Object.entries(configs).map(([key, value]) => `--config ${key}=${value}`);
  return `kafka-topics.sh --create --topic ${name} --partitions ${partitions} --replication-factor ${replicas} ${settings.join(' ')}`;
}

/** Waits until the brokers know the topic and who leads its partitions. */
async function withLeaders(cluster: KafkaCluster, { name, partitions }: Wanted): Promise<TopicDescription> {
  const { connectTimeoutMs } = cluster.settings;
  const deadline = cluster.clock.monotonic() + connectTimeoutMs;
  for (;;) {
    const topic = cluster.topic(name);
    const led = topic?.partitions.filter(({ leaderId }) => leaderId >= 0) ?? [];
    if (topic !== undefined && led.length >= Math.min(partitions, topic.partitions.length)) return topic;
    if (cluster.clock.monotonic() > deadline)
      throw new LogSetupError(
        `kafkaBroker: partitions of the topic ${name} have no leader. Start the brokers that keep them, or grant Describe on the topic.`,
      );
    await cluster.pause(LOOK_MS);
    await Promise.race([cluster.refresh(), cluster.pause(connectTimeoutMs)]);
  }
}

async function describe(
  cluster: KafkaCluster,
  { judges, name }: Wanted,
): Promise<ReadonlyMap<string, string>> {
  const { describeConfigsV4 } = cluster.driver;
  const keys = [
    ...new Set([...Object.keys(judges), 'min.insync.replicas', 'unclean.leader.election.enable']),
  ];
  const resource = { resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: keys } as const;
  const connection = await cluster.controller();
  const { results } = await connection
    .call(describeConfigsV4.api, [resource], false, false)
    .catch((error: unknown) => {
      throw new LogSetupError(
        `kafkaBroker: Kafka does not say how ${name} is configured: ${messageOf(error)}.`,
        {
          cause: error,
        },
      );
    });
  const result = results[0];
  if (result?.errorCode !== Code.none)
    throw new LogSetupError(
      `kafkaBroker: Kafka does not say how the topic ${name} is configured (error ${result?.errorCode ?? -1}). Grant DescribeConfigs on it.`,
    );
  return new Map(result.configs.map(({ name: key, value }) => [key, value ?? '']));
}

/** Where a topic that exists breaks what the log promises. */
function mismatches(
  { partitions }: TopicDescription,
  configs: ReadonlyMap<string, string>,
  wanted: Wanted,
  settings: KafkaLogSettings,
  deps: LogDeps,
): string[] {
  const { name } = wanted;
  const problems: string[] = [];
  if (partitions.length < wanted.partitions)
    problems.push(
      `the topic ${name} has ${partitions.length} partitions and \`partitions\` says ${wanted.partitions}: set it to their number, on all nodes`,
    );
  if (partitions.length > wanted.partitions)
    deps.onWarning?.(
      `The topic ${name} has ${partitions.length} partitions and \`partitions\` says ${wanted.partitions}: those behind are not used.`,
    );
  const copies = Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length));
  if (copies < settings.replicas)
    problems.push(
      `the topic ${name} is kept by ${copies} brokers and \`replicas\` says ${settings.replicas}: reassign its partitions`,
    );
  for (const [key, judge] of Object.entries(wanted.judges)) {
    const must = judge(configs.get(key) ?? '');
    if (must !== undefined)
      problems.push(
        `${key} of the topic ${name} is "${configs.get(key) ?? ''}" and must be ${must}: kafka-configs.sh --alter --entity-type topics --entity-name ${name} --add-config ${key}=…`,
      );
  }
  return problems;
}

function weaknessesOf(log: ReadonlyMap<string, string> | undefined): LogWeakness[] {
  const found: LogWeakness[] = [];
  if (Number(log?.get('min.insync.replicas') ?? 1) < 2)
    found.push({
      problem:
        'An event is acknowledged when one broker of Kafka has it: the loss of that broker loses acknowledged events.',
      remedy: 'Set `replicas` to 3 and `minInsyncReplicas` to 2, on at least three brokers.',
    });
  if (log?.get('unclean.leader.election.enable') === 'true')
    found.push({
      problem: 'A broker that lacks acknowledged events may become the leader of the topic.',
      remedy: 'Set unclean.leader.election.enable of the topic to false.',
    });
  return found;
}
