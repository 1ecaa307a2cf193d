import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import type { ClientStatus } from '../../lib/client/index.js';

/** A state of one of the clients, and when this process heard of it. */
interface ToldState {
  readonly client: number;
  readonly status: ClientStatus;
  readonly at: number;
}

/** Connects clients, and tells each change of their state. */
const PROGRAM = (url: string, clients: number, isBuiltIn: boolean): string => `
  import { WebSocket } from 'ws';
  import { RealtimeClient } from './lib/client/index.js';
  const options = { token: () => 'ada', webSocket: ${isBuiltIn ? 'globalThis.WebSocket' : 'WebSocket'} };
  for (let client = 0; client < ${clients}; client++) {
    const realtime = new RealtimeClient(${JSON.stringify(url)}, options);
    realtime.on('state', (status) => console.log(JSON.stringify({ client, status })));
    realtime.connect();
  }`;

/** A process of its own with clients, which a test can freeze. */
export class ClientProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly states: readonly ToldState[],
  ) {}

  /** @param isBuiltIn Whether with Node's own WebSocket, not that of the package ws. */
  static async start(url: string, clients: number, isBuiltIn = false): Promise<ClientProcess> {
    const { outputFiles } = await build({
      stdin: { contents: PROGRAM(url, clients, isBuiltIn), resolveDir: process.cwd(), loader: 'ts' },
      bundle: true,
      write: false,
      platform: 'node',
      format: 'cjs',
      logLevel: 'silent',
      packages: 'external',
    });
    const child = spawn(process.execPath, ['--no-warnings', '--experimental-websocket', '-'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(outputFiles[0]?.text);
    const states: ToldState[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      states.push({ ...(JSON.parse(line) as Omit<ToldState, 'at'>), at: performance.now() });
    });
    return new ClientProcess(child, states);
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  /** @returns When. */
  thaw(): number {
    this.child.kill('SIGCONT');
    return performance.now();
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await exited;
  }
}
