import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { patience } from '../support/patience.js';

/**
 * Runs `test/perf/probes/<name>.process.mjs` on the built library, in a process of its own: what other tests left behind in
 * a process would be counted too.
 *
 * @param flags of Node.
 * @returns what it printed, as JSON.
 * @throws Error with its output when it failed.
 */
export function probe<Result>(name: string, argument: object, flags: readonly string[] = []): Result {
  const script = fileURLToPath(new URL(`probes/${name}.process.mjs`, import.meta.url));
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, script, JSON.stringify(argument)],
    {
      encoding: 'utf8',
      // jest's own limit cannot end what does not yield.
      timeout: patience(60_000),
      // The flags that jest needs are not for it.
      env: { ...process.env, NODE_OPTIONS: '' },
    },
  );
  if (status !== 0) throw new Error(`${name} ended with ${signal ?? status}:\n${stderr}${stdout}`);
  return JSON.parse(stdout) as Result;
}
