import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Connection, metadataV12 } from '@platformatic/kafka';
import { findKafka, KAFKA_REMEDY, kafkaFolder } from '../../../scripts/kafka.mjs';
import { patience } from '../patience.js';
import { freePort } from '../redis/process.js';
import { ServerChild } from '../server-child.js';

/** How a broker is started, beside its ports and folder. */
export interface KafkaProcessOptions {
  /** More lines of its `server.properties`, which win over those of the kit. */
  readonly properties?: Readonly<Record<string, string>>;
  /** `listener.security.protocol` of its clients. Default `PLAINTEXT`. */
  readonly protocol?: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
  /** Address that clients are told to connect to, such as that of a proxy. Default: its own. */
  readonly advertised?: string;
}

/** A Java process needs half a minute on a busy machine. */
const START_MS = patience(60_000);
const HEAP = '-Xmx400m';
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qk';

/** A Kafka broker of a test's own, which is its own controller. */
export class KafkaProcess extends ServerChild {
  private constructor(
    port: number,
    private readonly controllerPort: number,
    /** Of a listener for the kit alone, whatever its clients must show. */
    private readonly kitPort: number,
    private readonly options: KafkaProcessOptions,
  ) {
    super('Kafka', port, START_MS);
  }

  static async start(options: KafkaProcessOptions = {}): Promise<KafkaProcess> {
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    return ServerChild.started(new KafkaProcess(...ports, options));
  }

  /**
   * Keeps a copy of the records of some topics; what it knows of the cluster is not in it. It must not run.
   *
   * @param prefix Of the names of the topics.
   * @returns puts the copy back, while it does not run
   */
  snapshot(prefix: string): () => void {
    const copy = mkdtempSync(join(this.folder, 'copy-'));
    const folders = (): string[] => readdirSync(this.data).filter((name) => name.startsWith(prefix));
    for (const name of folders()) cpSync(join(this.data, name), join(copy, name), { recursive: true });
    return () => {
      for (const name of folders()) rmSync(join(this.data, name), { recursive: true });
      cpSync(copy, this.data, { recursive: true });
    };
  }

  protected override spawn(port: number, log: number): ChildProcess {
    const settings = [HEAP, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
    const args = [...settings, '-cp', classPath(), 'kafka.Kafka', this.writeProperties(port)];
    return spawn('java', args, { stdio: ['ignore', log, log] });
  }

  protected override prepare(): void {
    // Eleven seconds of Java, once for all brokers of all tests: the same cluster id is no harm, they never meet.
    const formatted = join(kafkaFolder(), 'formatted');
    if (findKafka() === undefined) throw new Error(KAFKA_REMEDY);
    if (!existsSync(formatted)) {
      const args = ['-cp', classPath(), 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c'];
      const { status, stderr, error } = spawnSync('java', [...args, this.writeProperties(this.port)], {
        encoding: 'utf8',
        timeout: START_MS,
      });
      if (status !== 0) throw new Error(`${KAFKA_REMEDY} ${error?.message ?? stderr}`);
      const work = mkdtempSync(join(kafkaFolder(), 'format-'));
      cpSync(this.data, join(work, 'data'), { recursive: true });
      try {
        renameSync(join(work, 'data'), formatted);
      } catch {
        // Another worker was first.
      }
      rmSync(work, { recursive: true, force: true });
      return;
    }
    mkdirSync(this.data);
    cpSync(formatted, this.data, { recursive: true });
  }

  private writeProperties(port: number): string {
    const address = `127.0.0.1:${port}`;
    const { protocol = 'PLAINTEXT', advertised = address, properties = {} } = this.options;
    const file = join(this.folder, 'server.properties');
    const all = {
      'process.roles': 'broker,controller',
      'node.id': '1',
      'controller.quorum.voters': `1@127.0.0.1:${this.controllerPort}`,
      listeners: `CLIENTS://${address},KIT://127.0.0.1:${this.kitPort},CONTROLLER://127.0.0.1:${this.controllerPort}`,
      'advertised.listeners': `CLIENTS://${advertised},KIT://127.0.0.1:${this.kitPort}`,
      'listener.security.protocol.map': `CLIENTS:${protocol},KIT:PLAINTEXT,CONTROLLER:PLAINTEXT`,
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'KIT',
      'log.dirs': this.data,
      'offsets.topic.replication.factor': '1',
      'transaction.state.log.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
      'share.coordinator.state.topic.replication.factor': '1',
      'share.coordinator.state.topic.min.isr': '1',
      'group.initial.rebalance.delay.ms': '0',
      'auto.create.topics.enable': 'false',
      'log.retention.check.interval.ms': '1000',
      'log.initial.task.delay.ms': '500',
      'num.network.threads': '2',
      'num.io.threads': '2',
      'background.threads': '2',
      ...properties,
    };
    writeFileSync(
      file,
      Object.entries(all)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
    return file;
  }

  /** Listening is too early: the broker serves when its controller counts it among those that do. */
  protected override async isServing(): Promise<boolean> {
    const timeout = patience(2_000);
    const connection = new Connection('kit', { connectTimeout: timeout, requestTimeout: timeout });
    connection.on('error', () => undefined);
    try {
      await connection.connect('127.0.0.1', this.kitPort);
      const { brokers } = await metadataV12.api.async(connection, [], false, false);
      return brokers.length > 0;
    } catch {
      return false;
    } finally {
      await connection.close();
    }
  }
}

function classPath(): string {
  const jars = findKafka();
  if (jars === undefined) throw new Error(KAFKA_REMEDY);
  return join(jars, '*');
}
