import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { shellEnvironment } from './environment.js';
import { LIMITS } from './limits.js';

/** How a command is run. */
export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which it is killed. Default {@link LIMITS.command}. */
  readonly timeoutMs?: number;
}

/** A command that ended. */
export interface Finished {
  /** `null` when it was killed. */
  readonly code: number | null;
  /** Both streams, in the order in which they were written. */
  readonly output: string;
}

/** Lines of the output that a failure shows. */
const TAIL = 60;

/**
 * Runs a command and returns its output.
 *
 * @throws Error when it exits with another code than 0, with the end of its output.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { code, output } = await finish(command, args, options);
  if (code === 0) return output;
  throw failure(`${[command, ...args].join(' ')} ended with ${code ?? 'a time-out'}`, options.cwd, output);
}

/** Like {@link run}, for commands that may fail. */
export async function finish(
  command: string,
  args: readonly string[],
  { cwd, env, timeoutMs = LIMITS.command }: RunOptions,
): Promise<Finished> {
  const { child, output } = launch(command, args, cwd, env);
  const timer = setTimeout(() => kill(child), timeoutMs);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output: output() };
  } finally {
    clearTimeout(timer);
  }
}

/** A server that runs until {@link Server.stop}. */
export interface Server {
  /** The first group of the pattern that it was waited for. */
  readonly ready: string;
  stop(): Promise<void>;
}

/**
 * Starts a server and waits until its output matches.
 *
 * @throws Error when it ends before that, or takes too long.
 */
export async function serve(
  command: string,
  args: readonly string[],
  pattern: RegExp,
  { cwd, env, timeoutMs = LIMITS.ready }: RunOptions,
): Promise<Server> {
  const { child, output } = launch(command, args, cwd, env);
  const closed = once(child, 'close');
  const ready = await new Promise<string>((resolve, reject) => {
    const fail = (what: string): void =>
      reject(failure(`${command} ${args.join(' ')} ${what}`, cwd, output()));
    const timer = setTimeout(() => {
      kill(child);
      fail(`did not print ${pattern}`);
    }, timeoutMs);
    const look = (): void => {
      const found = pattern.exec(output());
      if (found === null) return;
      clearTimeout(timer);
      resolve(found[1] ?? found[0]);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    closed.then(() => {
      clearTimeout(timer);
      fail('ended');
    }, reject);
  });
  return {
    ready,
    async stop() {
      kill(child);
      await closed;
    },
  };
}

/** Commands that have not ended. */
const open = new Set<ChildProcess>();

/** Ends every command that still runs: jest's time-out of a test ends none. */
export function killAll(): void {
  for (const child of open) kill(child);
}

function launch(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> | undefined,
): { child: ChildProcess; output: () => string } {
  const child = spawn(command, args, {
    cwd,
    env: shellEnvironment(env),
    // CLIs that find no terminal ask nothing and take their defaults.
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: npm and npx start shells that start the program.
    detached: true,
  });
  open.add(child);
  child.once('close', () => open.delete(child));
  child.once('error', () => open.delete(child));
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { child, output: () => Buffer.concat(chunks).toString() };
}

/** Ends a command and everything that it started. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

function failure(what: string, cwd: string, output: string): Error {
  const lines = output.trimEnd().split('\n');
  const shown = lines.length > TAIL ? [`… ${lines.length - TAIL} lines`, ...lines.slice(-TAIL)] : lines;
  return new Error(`${what} in ${cwd}\n${shown.join('\n')}`);
}
