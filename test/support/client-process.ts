import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';

/** Clients that are live on `url`, and a line for each change of state: its name, and whose. */
const PROGRAM = (url: string, clients: number): string => `
  import { WebSocket } from 'ws';
  import { RealtimeClient } from './lib/client/index.js';
  for (let index = 0; index < ${clients}; index++) {
    const client = new RealtimeClient(${JSON.stringify(url)}, { webSocket: WebSocket, token: () => 'ada' });
    client.on('state', ({ state }) => console.log(state + ' ' + index));
    client.connect();
  }`;

/** A process of its own with clients, which a test can freeze. */
export class ClientProcess {
  private constructor(
    private readonly child: ChildProcess,
    /** What was told: the state, and the number of the client. */
    readonly states: readonly { readonly state: string; readonly client: number; readonly at: number }[],
  ) {}

  static async start(url: string, clients: number): Promise<ClientProcess> {
    const { outputFiles } = await build({
      stdin: { contents: PROGRAM(url, clients), resolveDir: process.cwd(), loader: 'ts' },
      bundle: true,
      write: false,
      platform: 'node',
      format: 'cjs',
      logLevel: 'silent',
      packages: 'external',
    });
    const child = spawn(process.execPath, ['-'], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(outputFiles[0]?.text);
    const states: { state: string; client: number; at: number }[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [state = '', client] = line.split(' ');
      states.push({ state, client: Number(client), at: performance.now() });
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
