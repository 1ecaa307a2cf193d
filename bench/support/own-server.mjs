import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canPin } from './pinning.mjs';
import { cpuOf } from './process-cpu.mjs';

const LOOK_MS = 100;
const START_MS = 60_000;

/** A temporary folder of the bench's own. */
export function newFolder(kind) {
  return mkdtempSync(join(tmpdir(), `rt-bench-${kind}-`));
}

/** A port of loopback that nobody listens on. */
export async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Runs a server in a folder of its own, on one core where the system can pin, and ends it with the bench. What it keeps in memory and on
 * disk is read from outside, as the system says it.
 *
 * @param {{ command: readonly string[], folder: string, core?: number, isServing: () => Promise<boolean> }} options
 * @throws Error when it ends, or does not serve in time.
 */
export async function startOwnServer({ command, folder, core, isServing }) {
  const [program, ...args] =
    canPin && core !== undefined ? ['taskset', '-c', String(core), ...command] : command;
  const child = spawn(program, args, { stdio: 'ignore' });
  let ended;
  const gone = new Promise((resolve) => {
    child.once('error', (error) => resolve((ended = error.message)));
    child.once('exit', (code, signal) => resolve((ended = String(signal ?? code))));
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const stop = async () => {
    end();
    await gone;
    process.off('exit', end);
    rmSync(folder, { recursive: true, force: true });
  };
  const until = performance.now() + START_MS;
  while (!(await isServing())) {
    if (ended !== undefined || performance.now() > until) {
      await stop();
      throw new Error(`${command[0]} does not serve: ${ended ?? 'no answer in a minute'}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return {
    /** CPU so far, in microseconds. */
    cpuMicros: async () => (await cpuOf({ pid: child.pid })).cpuMicros,
    /** Bytes of memory that are its own: files that the system keeps in memory for it do not count. */
    memoryBytes: async () => 1_024 * Number(/^RssAnon:\s+(\d+)/m.exec(status(child.pid))?.[1] ?? Number.NaN),
    /** Bytes of the files in its folder. */
    diskBytes: () => bytesIn(folder),
    stop,
  };
}

function status(pid) {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    // Not Linux: there is no figure then.
    return '';
  }
}

/** What files take of the disk: a log has some that are larger than what was written to them. */
export function bytesIn(folder) {
  let sum = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    try {
      sum += 512 * statSync(join(entry.parentPath, entry.name)).blocks;
    } catch {
      // Its server has taken it away since.
    }
  }
  return sum;
}
