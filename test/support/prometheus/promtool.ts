import { spawnSync } from 'node:child_process';

/** What `promtool` said, and how it ended. */
export interface PromtoolAnswer {
  readonly status: number | null;
  readonly text: string;
}

/** Runs `promtool`. @throws Error where it is not there. */
export function promtool(args: readonly string[], input = '', cwd?: string): PromtoolAnswer {
  const { error, status, stdout, stderr } = spawnSync('promtool', [...args], {
    input,
    encoding: 'utf8',
    cwd,
  });
  if (error !== undefined)
    throw new Error(
      'promtool is not on the PATH: it comes with Prometheus (Debian: apt-get install prometheus)',
      {
        cause: error,
      },
    );
  return { status, text: stdout + stderr };
}
