import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, metadataV12 } from '@platformatic/kafka';
import { findKafka, KAFKA_REMEDY, kafkaFolder } from '../../../scripts/kafka.mjs';
import { patience } from '../patience.js';
import { freePort } from '../redis/process.js';
import { stopProcess } from '../stop-process.js';
import { until } from '../until.js';

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

/** A Kafka broker of a test's own, which is its own controller: free loopback ports, a temporary folder, ended by its pid. */
export class KafkaProcess {
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly controllerPort: number,
    /** Of a listener for the kit alone, whatever its clients must show. */
    private readonly kitPort: number,
    readonly folder: string,
    private readonly options: KafkaProcessOptions,
  ) {}

  static async start(options: KafkaProcessOptions = {}): Promise<KafkaProcess> {
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    const server = new KafkaProcess(...ports, mkdtempSync(join(tmpdir(), 'rt-kafka-')), options);
    try {
      server.format();
      await server.launch();
      return server;
    } catch (error) {
      await server.dispose();
      throw error;
    }
  }

  /** A port for a broker that is to be found by others than before. */
  static anotherPort(): Promise<number> {
    return freePort();
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Another address of it, which no `advertised` or `protocol` changes. */
  get directAddress(): string {
    return `127.0.0.1:${this.kitPort}`;
  }

  /** Where its records are. To be changed only while it is stopped. */
  get data(): string {
    return join(this.folder, 'data');
  }

  /** Starts the process that was ended; what it had on disk is there again. @param port where; default: where it was at first */
  async launch(port = this.port): Promise<void> {
    const log = openSync(this.log, 'a');
    const child = java(['kafka.Kafka', this.writeProperties(port)], log);
    closeSync(log);
    this.child = child;
    await until(
      `Kafka to answer on port ${this.port}`,
      () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`Kafka ended with ${child.exitCode ?? child.signalCode}: ${this.lastLines()}`);
        return this.isServing();
      },
      START_MS,
    );
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends the process in order: it writes everything first. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Stops the world for this broker: connections stay, nothing is answered. */
  async pause(): Promise<void> {
    if (this.child?.pid !== undefined) await stopProcess(this.child.pid);
  }

  resume(): void {
    this.child?.kill('SIGCONT');
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

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // One that is paused would not see any other signal.
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }

  private format(): void {
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

  private get log(): string {
    return join(this.folder, 'out.log');
  }

  private lastLines(): string {
    return readFileSync(this.log, 'utf8').split('\n').slice(-15).join('\n');
  }

  /** Listening is too early: the broker serves when its controller counts it among those that do. */
  private async isServing(): Promise<boolean> {
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

function java(args: readonly string[], log: number): ChildProcess {
  const settings = [HEAP, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
  return spawn('java', [...settings, '-cp', classPath(), ...args], { stdio: ['ignore', log, log] });
}

function classPath(): string {
  const jars = findKafka();
  if (jars === undefined) throw new Error(KAFKA_REMEDY);
  return join(jars, '*');
}
