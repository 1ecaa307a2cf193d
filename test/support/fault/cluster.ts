import type { Cluster, Redis } from 'ioredis';
import { FaultLibraryClient, type FaultClient } from './client.js';
import { readLogs } from './log.js';
import type { FaultBroker, FaultRedisOptions } from './broker.js';
import { FaultNode } from './node.js';
import { FaultPublisher } from './publisher.js';
import { FaultRawClient } from './raw-client.js';
import { RecoveryWatch } from './recovery.js';
import { shuffled } from './shuffle.js';
import { checkHistory, type CheckOptions } from './history-checker.js';
import { HistoryRecorder } from './history-recorder.js';
import type { FinalLog, HistoryReport } from './history-types.js';
import { patience } from '../patience.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { until } from '../until.js';

export interface FaultClusterOptions {
  /** Of every node, unless the next or `brokerOf` says another. */
  readonly redis?: FaultRedisOptions;
  /** Differs per node where it is given: e.g. one node behind a proxy. */
  readonly redisOf?: (node: number) => FaultRedisOptions;
  /** For nodes over another broker than Redis. */
  readonly brokerOf?: (node: number) => FaultBroker;
  readonly seed: number;
  readonly nodes?: number;
  readonly clients: number;
  readonly channels?: readonly string[];
  readonly channelsPerClient?: number;
  /** Publishes a second of each node's publisher. */
  readonly rate: number;
}

/** What reads logs past the library: a client of Redis, or what reads those of another broker. */
export type LogSource = Redis | Cluster | { read(channels: readonly string[]): Promise<readonly FinalLog[]> };

const PATIENCE_MS = patience(30_000);

/** Server processes over one broker, clients spread over them, and a publisher per node; everything is recorded. */
export class FaultCluster {
  readonly history = new HistoryRecorder();
  readonly nodes: FaultNode[] = [];
  readonly clients: FaultClient[] = [];
  readonly publishers: FaultPublisher[] = [];
  readonly channels: readonly string[];
  readonly recovery: RecoveryWatch;
  private readonly entropy: SeededEntropy;

  private constructor(private readonly options: FaultClusterOptions) {
    this.entropy = new SeededEntropy(options.seed);
    this.channels = options.channels ?? Array.from({ length: 8 }, (_, index) => `rooms.${index + 1}`);
    this.recovery = new RecoveryWatch(this.history, this.clients);
  }

  /** Resolves when every client is subscribed and every publisher was acknowledged. */
  static async start(options: FaultClusterOptions): Promise<FaultCluster> {
    const cluster = new FaultCluster(options);
    try {
      await cluster.begin();
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
    return cluster;
  }

  get disconnects(): number {
    return this.clients.reduce((sum, { disconnects }) => sum + disconnects, 0);
  }

  /** What the nodes complained of. */
  get troubles(): readonly string[] {
    return this.nodes.flatMap(({ id, troubles }) => troubles.map((trouble) => `${id}: ${trouble}`));
  }

  /** Ends a node at once, and starts another in its place. */
  async replace(index: number): Promise<void> {
    await this.nodes[index]?.kill();
    this.nodes[index] = await FaultNode.start(`node-${index + 1}`, this.brokerOf(index));
  }

  /** Waits until every client receives again. @param endedAt when the outage ended. */
  async untilRecovered(endedAt: number): Promise<number> {
    const { recovery } = this;
    recovery.begin(endedAt);
    await until('every client to receive again', () => recovery.recovered, PATIENCE_MS).catch(
      (error: Error) => {
        throw new Error(
          `${error.message}; not: ${recovery.missing.slice(0, 10).join(', ')}; ${this.state()}`,
        );
      },
    );
    return recovery.msOf();
  }

  /** Ends the load, so that what is published from now on is what the test publishes, and waits until all is delivered. */
  async silence(source: LogSource): Promise<void> {
    await this.settle();
    await until('every client to reach the end of its logs', async () =>
      this.haveReached(await readFrom(source, this.channels)),
    );
  }

  /** Ends the load, waits until all is delivered, and judges the history. */
  async judge(source: LogSource, options?: CheckOptions): Promise<HistoryReport> {
    await this.settle();
    // The last word in every channel: whoever missed the end of the log learns it now.
    for (const channel of this.channels) this.publishers[0]?.publish(channel);
    await this.settle();
    let logs: readonly FinalLog[] = [];
    await until('every client to reach the end of its logs', async () =>
      this.haveReached((logs = await readFrom(source, this.channels))),
    ).catch(() => undefined); // Who has not is a finding of the checker.
    return checkHistory(this.history, logs, options);
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.clients, ...this.publishers].map((one) => one.stop()));
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  private async begin(): Promise<void> {
    const { nodes = 3, clients, rate, channelsPerClient = 3 } = this.options;
    const { entropy, history, channels } = this;
    this.nodes.push(
      ...(await Promise.all(
        Array.from({ length: nodes }, (_, index) =>
          FaultNode.start(`node-${index + 1}`, this.brokerOf(index)),
        ),
      )),
    );
    const onEvent = (client: FaultClient, channel: string, id: string): void =>
      this.recovery.note(client, channel, id);
    for (let index = 0; index < clients; index++) {
      const own = shuffled(channels, entropy).slice(0, channelsPerClient);
      const settings = { history, onEvent, pick: () => this.pick(index) };
      this.clients.push(
        index % 2 === 0
          ? new FaultLibraryClient(`library-${index}`, own, settings)
          : new FaultRawClient(`raw-${index}`, own, settings, entropy),
      );
    }
    for (const client of this.clients) client.start();
    await until('all to be subscribed', () => this.allSubscribed(), PATIENCE_MS);
    for (let index = 0; index < nodes; index++) {
      const pick = (): string => this.pick(index);
      this.publishers.push(
        new FaultPublisher(`publisher-${index + 1}`, { history, pick, channels, entropy, rate }),
      );
    }
    for (const publisher of this.publishers) publisher.start();
    await this.untilRecovered(performance.now());
  }

  private brokerOf(node: number): FaultBroker {
    const { brokerOf, redis, redisOf } = this.options;
    return brokerOf?.(node) ?? { redis: redisOf?.(node) ?? redis ?? {} };
  }

  private allSubscribed(): boolean {
    return this.clients.every(({ live, channels }) => live.size === channels.length);
  }

  private haveReached(logs: readonly FinalLog[]): boolean {
    const tips = new Map(logs.map(({ channel, position }) => [channel, position]));
    return this.clients.every(({ channels, positions }) =>
      channels.every((channel) => {
        const [own, tip] = [positions.get(channel), tips.get(channel)];
        return own?.seq === tip?.seq && own?.epoch === tip?.epoch;
      }),
    );
  }

  private async settle(): Promise<void> {
    let waits = true;
    void Promise.all(this.publishers.map((publisher) => publisher.finish())).then(() => (waits = false));
    await until('every publish to have an outcome', () => !waits, PATIENCE_MS).catch((error: Error) => {
      throw new Error(`${error.message}; ${this.state()}`);
    });
  }

  private state(): string {
    const away = this.clients.filter(({ live, channels }) => live.size < channels.length);
    return `${away.length} clients lack a subscription; the nodes said: ${this.nodes.flatMap(({ id, troubles }) => troubles.slice(-3).map((trouble) => `${id}: ${trouble}`)).join(' | ')}`;
  }

  /** The home node of this number, or the next one that lives. */
  private pick(number: number): string {
    const { nodes } = this;
    for (let step = 0; step < nodes.length; step++) {
      const node = nodes[(number + step) % nodes.length];
      if (node?.alive === true) return node.url;
    }
    return 'ws://127.0.0.1:9/realtime';
  }
}

function readFrom(source: LogSource, channels: readonly string[]): Promise<readonly FinalLog[]> {
  return 'read' in source ? source.read(channels) : readLogs(source, channels);
}
