import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNats, NATS_REMEDY } from '../../../scripts/nats.mjs';
import { patience } from '../patience.js';
import { freePort } from '../redis/process.js';
import { stopProcess } from '../stop-process.js';
import { until } from '../until.js';

/** How a server is started, beside its ports and folder. */
export interface NatsProcessOptions {
  /** Name in its cluster. Default `test`. */
  readonly name?: string;
  /** More text of its configuration file: users, TLS, `max_payload`. */
  readonly config?: string;
  /** Text of its `jetstream` block, beside the folder. */
  readonly jetstream?: string;
  /** The port of its routes, and those of all members; `isQuiet`: clients are not told of the other members. */
  readonly cluster?: {
    readonly port: number;
    readonly routes: readonly number[];
    readonly isQuiet?: boolean;
  };
}

/** A cluster elects leaders before it answers. */
const START_MS = patience(20_000);

/** A NATS server with JetStream of a test's own: free loopback ports, a temporary folder, ended by its pid. */
export class NatsProcess {
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly monitorPort: number,
    readonly folder: string,
    private readonly options: NatsProcessOptions,
  ) {}

  static async start(options: NatsProcessOptions = {}): Promise<NatsProcess> {
    const [port, monitorPort] = [await freePort(), await freePort()];
    const server = new NatsProcess(port, monitorPort, mkdtempSync(join(tmpdir(), 'rt-nats-')), options);
    try {
      await server.launch();
      return server;
    } catch (error) {
      await server.dispose();
      throw error;
    }
  }

  /** A port for a server that is to be found by others than before. */
  static anotherPort(): Promise<number> {
    return freePort();
  }

  get name(): string {
    return this.options.name ?? 'test';
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Where its streams are. To be changed only while it is stopped. */
  get data(): string {
    return join(this.folder, 'data');
  }

  /** Starts the process that was ended; what it had on disk is there again. @param port where; default: where it was at first */
  async launch(port = this.port): Promise<void> {
    const program = findNats();
    if (program === undefined) throw new Error(NATS_REMEDY);
    const log = openSync(join(this.folder, 'out.log'), 'a');
    const child = spawn(program, ['-c', this.writeConfig(port)], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.child = child;
    let failed: Error | undefined;
    child.once('error', (error) => (failed = error));
    await until(
      `nats-server to serve JetStream on port ${this.port}`,
      () => {
        if (failed !== undefined) throw failed;
        if (child.exitCode !== null)
          throw new Error(`nats-server ended with ${child.exitCode}: ${this.lastLines()}`);
        return this.isHealthy();
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

  /** Stops the world for this server: connections stay, nothing is answered. */
  async pause(): Promise<void> {
    if (this.child?.pid !== undefined) await stopProcess(this.child.pid);
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** Keeps a copy of what it has on disk. It must not run. @returns puts the copy back, while it does not run */
  snapshot(): () => void {
    const copy = mkdtempSync(join(this.folder, 'copy-'));
    cpSync(this.data, copy, { recursive: true });
    return () => {
      rmSync(this.data, { recursive: true });
      cpSync(copy, this.data, { recursive: true });
    };
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Whether JetStream answers, and in a cluster has a leader and what the others have. */
  private async isHealthy(): Promise<boolean> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.monitorPort}/healthz`, {
        signal: AbortSignal.timeout(patience(500)),
      });
      return answer.ok;
    } catch {
      return false;
    }
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

  private writeConfig(port: number): string {
    const { cluster, config = '', jetstream = '' } = this.options;
    const file = join(this.folder, 'server.conf');
    const routes = cluster?.routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
    const members = `routes: [${routes}], no_advertise: ${cluster?.isQuiet === true}`;
    const lines = [
      `server_name: ${this.name}`,
      `listen: "127.0.0.1:${port}"`,
      `http: "127.0.0.1:${this.monitorPort}"`,
      `jetstream { store_dir: "${this.data}", max_memory_store: 64MB, max_file_store: 1GB, ${jetstream} }`,
      ...(cluster === undefined
        ? []
        : [`cluster { name: test, listen: "127.0.0.1:${cluster.port}", ${members} }`]),
      config,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  }

  private lastLines(): string {
    return readFileSync(join(this.folder, 'out.log'), 'utf8').split('\n').slice(-15).join('\n');
  }
}

/** Three servers that keep each stream three times. */
export class NatsCluster {
  private constructor(readonly servers: readonly NatsProcess[]) {}

  /** @param isQuiet Whether clients know only the addresses that they are given, so that a proxy may stand before those. */
  static async start(
    options: Pick<NatsProcessOptions, 'config' | 'jetstream'> = {},
    isQuiet = false,
  ): Promise<NatsCluster> {
    const routes = [await freePort(), await freePort(), await freePort()];
    const servers = await Promise.all(
      routes.map((port, index) =>
        NatsProcess.start({ ...options, name: `n${index + 1}`, cluster: { port, routes, isQuiet } }),
      ),
    );
    return new NatsCluster(servers);
  }

  get addresses(): string[] {
    return this.servers.map(({ address }) => address);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.dispose()));
  }
}
