import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patience } from '../patience.js';
import { until } from '../until.js';

/** How a server is started, beside its port and folder. */
export interface RedisProcessOptions {
  /** `redis-server` or `redis-sentinel`. Default `redis-server`, or what REDIS_SERVER names, such as a `valkey-server`. */
  readonly program?: string;
  /** Whether what was written survives the process: an append-only file, synced at every write. Default `true`. */
  readonly durable?: boolean;
  /** More settings, as arguments: `['--replicaof', '127.0.0.1 7000']`. */
  readonly args?: readonly string[];
  /** A configuration file to begin with; Sentinel and Cluster rewrite theirs. */
  readonly configFile?: string;
  readonly port?: number;
}

/** A Redis server of a test's own: a free port, a temporary folder, ended by its pid. */
export class RedisProcess {
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly folder: string,
    private readonly options: RedisProcessOptions,
  ) {}

  static async start(options: RedisProcessOptions = {}): Promise<RedisProcess> {
    const port = options.port ?? (await freePort());
    const server = new RedisProcess(port, mkdtempSync(join(tmpdir(), 'rt-redis-')), options);
    await server.launch();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts the process that was ended; what it had on disk is there again. */
  async launch(): Promise<void> {
    const { program = 'redis-server', durable = true, args = [], configFile } = this.options;
    const files =
      program === 'redis-server'
        ? ['--save', '', ...(durable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [])]
        : [];
    const child = spawn(
      program === 'redis-server' ? (process.env.REDIS_SERVER ?? program) : program,
      [
        ...(configFile === undefined ? [] : [configFile]),
        ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder],
        ...files,
        ...args,
      ],
      { stdio: 'ignore' },
    );
    this.child = child;
    let failed: Error | undefined;
    child.once('error', (error) => (failed = error));
    await until(`${program} to answer on port ${this.port}`, () => {
      if (failed !== undefined) throw failed;
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
      return answers(this.port);
    });
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Stops the world for this server: connections stay, nothing is answered. */
  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Below the ports that systems give to outgoing connections, which a busy machine may have used up. */
const FIRST_PORT = 10_500;
const PORTS = 10_000;
/** A node of a Cluster also listens on the port this far above its own. */
const BUS = 10_000;

/** A port that nobody listens on at the moment, and neither on the one above it that a Cluster needs. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + randomInt(PORTS);
    if ((await isFree(port)) && (await isFree(port + BUS))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Whether the server answers, if only to say that it is loading or wants a password. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    let text = '';
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(patience(500), () => done(false));
    socket.once('error', () => done(false));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.includes('\r\n')) done(text.startsWith('+PONG') || text.startsWith('-NOAUTH'));
    });
  });
}
