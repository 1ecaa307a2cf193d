import type { metadataV12 } from '@platformatic/kafka';
import type { Clock } from '../../core/ports/clock.js';
import type { LogDeps } from '../replicated/log-deps.js';
import { LogLink } from '../replicated/log-link.js';
import { LogSetupError, LogUnavailableError } from '../replicated/ordered-log.js';
import { messageOf } from './codes.js';
import { KafkaConnection } from './connection.js';
import type { KafkaDriver } from './driver.js';
import type { BrokerAddress, KafkaLogSettings } from './options.js';

/** Pause between two attempts to find a broker that answers: doubled up to the longest, and spread. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 1_000;

/** Who leads a partition. */
export interface Leader {
  readonly address: BrokerAddress;
  readonly epoch: number;
  /** Names this life of the topic. */
  readonly topicId: string;
}

/** A topic as the cluster describes it. */
export type TopicDescription = metadataV12.MetadataResponseTopic;

/**
 * What is known of the cluster, and one connection to each broker for everything but reading: a broker answers the requests of a
 * connection one after the other, so nothing on these may wait for records.
 */
export class KafkaCluster extends LogLink {
  private readonly connections = new Map<string, Promise<KafkaConnection>>();
  private brokers = new Map<number, BrokerAddress>();
  private topics = new Map<string, TopicDescription>();
  private controllerId = -1;
  private refreshing: Promise<void> | undefined;
  private isEnding = false;

  private constructor(
    readonly driver: KafkaDriver,
    readonly settings: KafkaLogSettings,
    private readonly deps: LogDeps,
    /** Topics that are asked about. */
    private readonly names: readonly string[],
  ) {
    super();
  }

  /** @throws LogSetupError when no broker can be reached or takes the credentials */
  static async open(
    driver: KafkaDriver,
    settings: KafkaLogSettings,
    deps: LogDeps,
    names: readonly string[],
  ): Promise<KafkaCluster> {
    const cluster = new KafkaCluster(driver, settings, deps, names);
    try {
      await cluster.ask();
      return cluster;
    } catch (error) {
      cluster.close();
      throw setupError(settings, error);
    }
  }

  get clock(): Clock {
    return this.deps.clock;
  }

  get isClosed(): boolean {
    return this.isEnding;
  }

  topic(name: string): TopicDescription | undefined {
    return this.topics.get(name);
  }

  /** @returns `undefined` when the topic or the partition is missing, or has no leader at the moment */
  leader(topic: string, partition: number): Leader | undefined {
    const description = this.topics.get(topic);
    const found = description?.partitions.find(({ partitionIndex }) => partitionIndex === partition);
    const address = found === undefined ? undefined : this.brokers.get(found.leaderId);
    if (description === undefined || found === undefined || address === undefined) return undefined;
    return { address, epoch: found.leaderEpoch, topicId: description.topicId };
  }

  /** The connection to a broker. @throws Error when it cannot be opened */
  connection(address: BrokerAddress): Promise<KafkaConnection> {
    if (this.isEnding) return Promise.reject(new LogUnavailableError('The log is closed'));
    const key = keyOf(address);
    const known = this.connections.get(key);
    if (known !== undefined) return known;
    const opening = KafkaConnection.open(this.driver, address, this.settings, this.settings.requestTimeoutMs);
    this.connections.set(key, opening);
    opening.then(
      (opened) => {
        opened.onClose(() => this.drop(key, opening));
        if (this.isEnding || !opened.isOpen) opened.destroy();
      },
      () => this.drop(key, opening),
    );
    return opening;
  }

  /** The connection to the controller, or to a broker that knows it. */
  async controller(): Promise<KafkaConnection> {
    const address = this.brokers.get(this.controllerId) ?? [...this.brokers.values()][0];
    if (address === undefined) throw new LogUnavailableError('No broker of Kafka is known');
    return this.connection(address);
  }

  /** Asks the cluster again, for as long as it takes; resolves also when it is closed. Calls at the same time share the answer. */
  refresh(): Promise<void> {
    this.refreshing ??= this.askUntilAnswered().finally(() => (this.refreshing = undefined));
    return this.refreshing;
  }

  /** Waits, or until a pause of that length in which the log is closed is over. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.deps.clock.schedule(ms, resolve));
  }

  /** Ends all connections. */
  close(): void {
    this.isEnding = true;
    this.lose('closed');
    for (const opening of this.connections.values())
      opening.then(
        (opened) => opened.destroy(),
        () => undefined,
      );
    this.connections.clear();
  }

  private async askUntilAnswered(): Promise<void> {
    for (let failures = 0; !this.isEnding; failures++) {
      try {
        return await this.ask();
      } catch {
        const ms = Math.min(RETRY_MS * 2 ** failures, MAX_RETRY_MS);
        await this.pause(ms * (0.5 + this.deps.entropy.random()));
      }
    }
  }

  /** Asks the first broker that answers what there is. */
  private async ask(): Promise<void> {
    const connected = [...this.connections.values()];
    const addresses = [...this.brokers.values(), ...this.settings.brokers];
    let last: unknown = new LogUnavailableError('No broker of Kafka answers');
    for (const open of [
      ...connected.map((opening) => () => opening),
      ...addresses.map((address) => () => this.connection(address)),
    ]) {
      if (this.isEnding) break;
      try {
        const connection = await open();
        this.learn(await connection.call(this.driver.metadataV12.api, [...this.names], false, false));
        return this.open();
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  private learn({ brokers, controllerId, topics }: metadataV12.MetadataResponse): void {
    this.brokers = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.controllerId = controllerId;
    this.topics = new Map();
    for (const topic of topics) if (topic.errorCode === 0) this.topics.set(topic.name ?? '', topic);
  }

  /** A connection is over: what is known may be old, and when it was the last one the cluster is away. */
  private drop(key: string, opening: Promise<KafkaConnection>): void {
    if (this.connections.get(key) !== opening) return;
    this.connections.delete(key);
    if (this.isEnding) return;
    if (this.connections.size === 0) this.lose(`the connection to ${key} was lost`);
    void this.refresh();
  }
}

function keyOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`;
}

function setupError(settings: KafkaLogSettings, error: unknown): LogSetupError {
  const message = messageOf(error);
  const isRefused = /sasl|authenticat|credential/i.test(message);
  const remedy = isRefused
    ? 'Check `sasl`: mechanism, user name and password or token.'
    : 'Check `brokers` and `tls`, and that the brokers run: Kafka 3.1 or newer.';
  return new LogSetupError(
    `kafkaBroker: cannot connect to ${settings.brokers.map(keyOf).join(', ')}: ${message}. ${remedy}`,
    { cause: error },
  );
}
