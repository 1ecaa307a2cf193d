import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The sample, started as its user starts it: a process of its own, from what `npm run build:sample` made. */
export class ChatServer {
  private constructor(
    readonly url: string,
    readonly port: number,
    private readonly child: ChildProcess,
    /** Everything that it printed. */
    readonly output: () => string,
  ) {}

  /** Starts it and waits for the line with its address. */
  static async start({
    port,
    platform = 'express',
    env = {},
  }: { port?: number; platform?: string; env?: Readonly<Record<string, string>> } = {}): Promise<ChatServer> {
    const { child, output } = launch({ PORT: String(port ?? 0), PLATFORM: platform, ...env });
    const url = await line(child, output, /^Chat is running: (http:\S+)$/m);
    return new ChatServer(url, Number(new URL(url).port), child, output);
  }

  /** Starts it where it cannot start. */
  static async startAndFail(
    port: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number | null; output: string }> {
    const { child, output } = launch({ PORT: String(port), ...env });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output: output() };
  }

  /** Ctrl-C. */
  stop(): Promise<void> {
    return this.end('SIGINT');
  }

  /** `kill -9`: no goodbye, nothing is flushed. */
  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'close');
    this.child.kill(signal);
    await ended;
  }
}

function launch(env: Record<string, string>): { child: ChildProcess; output: () => string } {
  // Without the NODE_OPTIONS that Jest needs.
  const { NODE_OPTIONS: _, ...own } = process.env;
  const child = spawn(process.execPath, ['dist-sample/chat/main.js'], {
    cwd: root,
    env: { ...own, NO_COLOR: '1', ...env },
  });
  let text = '';
  const keep = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return { child, output: () => text };
}

/** The first group of what is looked for, once it was printed. */
function line(child: ChildProcess, output: () => string, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const found = pattern.exec(output())?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on('data', look);
    child.on('error', reject);
    child.on('close', (code) =>
      reject(new Error(`The sample ended with ${code} before it ran:\n${output()}`)),
    );
  });
}
