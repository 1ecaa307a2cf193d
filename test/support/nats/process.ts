import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findNats, NATS_REMEDY } from '../../../scripts/nats.mjs';
import { patience } from '../patience.js';
import { freePort } from '../redis/process.js';
import { ServerChild } from '../server-child.js';

/** How a server is started, beside its ports and folder. */
export interface NatsProcessOptions {
  /** Name in its cluster. Default `test`. */
  readonly name?: string;
  /** More text of its configuration file: users, TLS, `max_payload`. */
  readonly config?: string;
  /** Text of its `jetstream` block, beside the folder. */
  readonly jetstream?: string;
  /** The port of its routes, and those of all members. */
  readonly cluster?: { readonly port: number; readonly routes: readonly number[] };
}

/** A cluster elects leaders before it answers. */
const START_MS = patience(20_000);

/** A NATS server with JetStream of a test's own. */
export class NatsProcess extends ServerChild {
  private constructor(
    port: number,
    private readonly monitorPort: number,
    private readonly options: NatsProcessOptions,
  ) {
    super('nats-server', port, START_MS);
  }

  static async start(options: NatsProcessOptions = {}): Promise<NatsProcess> {
    return ServerChild.started(new NatsProcess(await freePort(), await freePort(), options));
  }

  get name(): string {
    return this.options.name ?? 'test';
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

  protected override spawn(port: number, log: number): ChildProcess {
    const program = findNats();
    if (program === undefined) throw new Error(NATS_REMEDY);
    return spawn(program, ['-c', this.writeConfig(port)], { stdio: ['ignore', log, log] });
  }

  /** Whether JetStream answers, and in a cluster has a leader and what the others have. */
  protected override async isServing(): Promise<boolean> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.monitorPort}/healthz`, {
        signal: AbortSignal.timeout(patience(500)),
      });
      return answer.ok;
    } catch {
      return false;
    }
  }

  private writeConfig(port: number): string {
    const { cluster, config = '', jetstream = '' } = this.options;
    const file = join(this.folder, 'server.conf');
    const routes = cluster?.routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
    const lines = [
      `server_name: ${this.name}`,
      `listen: "127.0.0.1:${port}"`,
      `http: "127.0.0.1:${this.monitorPort}"`,
      `jetstream { store_dir: "${this.data}", max_memory_store: 64MB, max_file_store: 1GB, ${jetstream} }`,
      ...(cluster === undefined
        ? []
        : [`cluster { name: test, listen: "127.0.0.1:${cluster.port}", routes: [${routes}] }`]),
      config,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  }
}

/** Three servers that keep each stream three times. */
export class NatsCluster {
  private constructor(readonly servers: readonly NatsProcess[]) {}

  static async start(options: Pick<NatsProcessOptions, 'config' | 'jetstream'> = {}): Promise<NatsCluster> {
    const routes = [await freePort(), await freePort(), await freePort()];
    const servers = await Promise.all(
      routes.map((port, index) =>
        NatsProcess.start({ ...options, name: `n${index + 1}`, cluster: { port, routes } }),
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
