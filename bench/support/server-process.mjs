import { once } from 'node:events';
import { fork } from 'node:child_process';
import { canPin } from './pinning.mjs';

/**
 * Runs a server of the bench in a process of its own, on core 0 where the system can pin.
 *
 * @param {string} script Calls `serve` of `server-side.mjs`.
 * @param {object} settings What the script finds as `settings`.
 * @param {{ core?: number, nodeOptions?: readonly string[] }} [options]
 * @throws Error with the server's own words when it does not come up.
 */
export async function startServer(script, settings, { core = 0, nodeOptions = [] } = {}) {
  const flags = ['--expose-gc', ...nodeOptions];
  const child = fork(script, [JSON.stringify(settings)], {
    ...(canPin
      ? { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, ...flags] }
      : { execArgv: flags }),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${script} ended with ${signal ?? code}`);
  });
  gone.catch(() => undefined);
  const answer = async () => {
    const [message] = await Promise.race([once(child, 'message'), gone]);
    if (message.failed !== undefined) throw new Error(message.failed);
    return message;
  };
  const ask = (message) => {
    child.send(message);
    return answer();
  };
  const { port } = await answer();
  return { port, pid: child.pid, ask, stop: () => child.kill() };
}
