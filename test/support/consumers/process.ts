import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { ConsumerStatus } from '../../../lib/core/ports/consumers.js';
import { patience } from '../patience.js';
import { until } from '../until.js';

const PROGRAM = join(import.meta.dirname, '../../fault/consumer.process.mjs');
const START_MS = patience(30_000);

/** What a process consumes, and where its channels are. */
export interface ConsumerProcessOptions {
  readonly source: 'kafka' | 'nats' | 'redis';
  /** Of the source, without `to`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Of the broker of its channels. */
  readonly redis: Readonly<Record<string, unknown>>;
}

type Message =
  | { readonly type: 'ready' }
  | { readonly type: 'status'; readonly status: ConsumerStatus }
  | { readonly type: 'log'; readonly message: string };

/** An application of the built library (`dist/`) that consumes, as a process of its own. */
export class ConsumerProcess {
  readonly logs: string[] = [];
  status: ConsumerStatus | undefined;
  private exited = false;

  private constructor(
    readonly nodeId: string,
    private readonly child: ChildProcess,
  ) {
    child.stderr?.on('data', (chunk: Buffer) => this.logs.push(chunk.toString()));
    child.on('message', (message: Message) => {
      if (message.type === 'log') this.logs.push(message.message);
      else if (message.type === 'status') this.status = message.status;
    });
    child.once('exit', () => (this.exited = true));
  }

  static async start(nodeId: string, options: ConsumerProcessOptions): Promise<ConsumerProcess> {
    const child = fork(PROGRAM, [JSON.stringify({ nodeId, ...options })], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const started = new ConsumerProcess(nodeId, child);
    await until(
      `${nodeId} to start`,
      () => {
        if (started.exited) throw new Error(`${nodeId} ended: ${started.logs.join('')}`);
        return started.status !== undefined;
      },
      START_MS,
    );
    return started;
  }

  get published(): number {
    return this.status?.counts.published ?? 0;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends it as an orchestrator does. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Stops the world for it. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.exited) return;
    const exit = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGCONT');
    this.child.kill(signal);
    await exit;
  }
}
