import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { canPin } from '../support/pinning.mjs';

/** The process that sends events at a rate, beside the load generator and away from the server. */
export function startPublisher(bytes) {
  const script = fileURLToPath(new URL('publisher.mjs', import.meta.url));
  const child = fork(script, [String(bytes)], {
    ...(canPin && { execPath: 'taskset', execArgv: ['-c', '1', process.execPath] }),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ask = async (message) => {
    child.send(message);
    await once(child, 'message');
  };
  return {
    start: (port, perSecond) => ask({ type: 'start', port, perSecond }),
    pause: () => ask({ type: 'pause' }),
    stop: () => child.kill(),
  };
}
