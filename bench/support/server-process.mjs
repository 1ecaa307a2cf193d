import { once } from 'node:events';
import { createServer } from 'node:http';
import { fork, spawnSync } from 'node:child_process';

const hasTaskset = spawnSync('taskset', ['-c', '0', 'true']).status === 0;

/** Whether server and load generator can be kept on cores of their own. */
export const canPin = hasTaskset;

/** Runs a server of the bench in a process of its own, on core 0 where the system can pin. */
export async function startServer(script, settings) {
  const pinned = hasTaskset
    ? { execPath: 'taskset', execArgv: ['-c', '0', process.execPath, '--expose-gc'] }
    : { execArgv: ['--expose-gc'] };
  const child = fork(script, [JSON.stringify(settings)], {
    ...pinned,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ask = async (message) => {
    child.send(message);
    const [answer] = await once(child, 'message');
    return answer;
  };
  const [{ port }] = await once(child, 'message');
  return { port, ask, stop: () => child.kill() };
}

/**
 * Body of a server process: an HTTP server for `attach`, and the loop of turns. `publish(count)` must hand `count` events
 * to every subscriber in one turn of the event loop and resolve when the sockets have them.
 */
export async function serve({ attach, publish }) {
  const http = createServer();
  const sockets = new Set();
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await attach(http);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const written = () => {
    let sum = 0;
    for (const socket of sockets) sum += socket.bytesWritten;
    return sum;
  };
  let cpu = process.cpuUsage();
  process.on('message', async (message) => {
    if (message.type === 'begin') {
      globalThis.gc?.();
      cpu = process.cpuUsage();
      process.send({ written: written(), sockets: sockets.size });
    } else if (message.type === 'turn') {
      await publish(message.events);
      process.send({ written: written() });
    } else if (message.type === 'end') {
      const { user, system } = process.cpuUsage(cpu);
      process.send({ cpuMicros: user + system, rss: process.memoryUsage().rss });
    }
  });
  process.send({ port: http.address().port });
}

/** Settings that {@link startServer} gave this process. */
export const settings = process.argv[2] === undefined ? {} : JSON.parse(process.argv[2]);
