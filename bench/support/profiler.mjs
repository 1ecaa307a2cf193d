import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { basename, join } from 'node:path';

/**
 * With `PROFILE=folder`, keeps a CPU profile of each measured stretch of each server there, to be opened in the browser's
 * developer tools. Figures of such a run count for nothing.
 */
export const profiler = process.env.PROFILE ? await createProfiler(process.env.PROFILE) : undefined;

async function createProfiler(folder) {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 100 });
  const server = basename(process.argv[1], '.mjs');
  let stretch = 0;
  return {
    start: () => session.post('Profiler.start'),
    async stop() {
      const { profile } = await session.post('Profiler.stop');
      mkdirSync(folder, { recursive: true });
      const file = `${server}-${process.pid}-${++stretch}.cpuprofile`;
      writeFileSync(join(folder, file), JSON.stringify(profile));
    },
  };
}
