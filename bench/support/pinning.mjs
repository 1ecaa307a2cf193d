import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Whether server and load generator can be kept on cores of their own. */
export const canPin = availableParallelism() >= 2 && spawnSync('taskset', ['-c', '0', 'true']).status === 0;

/** Puts this process, the load generator, on core 1, away from the server on core 0. */
export function pinLoadGenerator() {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)]);
}

/** How the processes of this run are placed, for the head of a report. */
export const placement = canPin ? 'server on core 0, load generator on core 1' : 'not pinned';
