import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { EngineStatus } from '../../../lib/core/engine/realtime-engine.js';
import { patience } from '../patience.js';
import type { FaultBroker } from './broker.js';

const PROGRAM = join(import.meta.dirname, '../../fault/node.process.mjs');
const START_MS = patience(20_000);

type Message =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'status'; readonly status: EngineStatus }
  | { readonly type: 'log'; readonly level: 'warn' | 'error'; readonly message: string };

/** A server process of the built library (`dist/`). */
export class FaultNode {
  /** What the process logged as a warning or an error, and its standard error. */
  readonly troubles: string[] = [];
  private gone = false;

  private constructor(
    readonly id: string,
    private readonly child: ChildProcess,
    readonly port: number,
  ) {
    child.once('exit', () => (this.gone = true));
  }

  static async start(id: string, broker: FaultBroker): Promise<FaultNode> {
    const child = fork(PROGRAM, [JSON.stringify({ nodeId: id, ...broker })], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const troubles: string[] = [];
    child.stderr?.on('data', (chunk: Buffer) => troubles.push(chunk.toString()));
    child.on('message', (message: Message) => {
      if (message.type === 'log') troubles.push(message.message);
    });
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${id} did not start: ${troubles.join('')}`)),
        START_MS,
      );
      child.on('message', (message: Message) => {
        if (message.type !== 'ready') return;
        clearTimeout(timer);
        resolve(message.port);
      });
      child.once('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`${id} ended with ${code}: ${troubles.join('')}`));
      });
    });
    const node = new FaultNode(id, child, port);
    node.troubles.push(...troubles);
    child.stderr?.on('data', (chunk: Buffer) => node.troubles.push(chunk.toString()));
    child.on('message', (message: Message) => {
      if (message.type === 'log') node.troubles.push(message.message);
    });
    return node;
  }

  get alive(): boolean {
    return !this.gone;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/realtime`;
  }

  async status(): Promise<EngineStatus> {
    const answer = new Promise<EngineStatus>((resolve) => {
      const take = (message: Message): void => {
        if (message.type !== 'status') return;
        this.child.off('message', take);
        resolve(message.status);
      };
      this.child.on('message', take);
    });
    this.child.send({ type: 'status' });
    return await answer;
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    if (this.gone) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.gone = true;
    this.child.kill('SIGKILL');
    await ended;
  }
}
