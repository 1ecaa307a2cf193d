import { once } from 'node:events';
import { profiler } from './profiler.mjs';

/** Settings that `startServer` gave this process. */
export const settings = process.argv[2] === undefined ? {} : JSON.parse(process.argv[2]);

const used = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
let begun = 0;
let offTheBooks = 0;

/** Runs what only the measurement needs, such as counting what was written; its CPU is not the server's. */
export function unaccounted(run) {
  const before = used();
  try {
    return run();
  } finally {
    offTheBooks += used() - before;
  }
}

/**
 * Body of a server process. Answers `begin` and `end`, between which the CPU of the process is counted, `memory`, and
 * the commands of the scenario, each a function of the message.
 *
 * @param {() => Promise<number>} listen Starts the server and resolves with its port.
 */
export async function serve(listen, commands) {
  const all = {
    /** @param {{ collect?: boolean }} message whether garbage is collected before. Default true. */
    async begin({ collect = true }) {
      if (collect) globalThis.gc?.();
      await profiler?.start();
      begun = used();
      offTheBooks = 0;
      return {};
    },
    async end() {
      const cpuMicros = used() - begun - offTheBooks;
      await profiler?.stop();
      return { cpuMicros };
    },
    /** Without collecting, for a look while the server works. */
    cpu: () => ({ cpuMicros: used(), atMicros: Number(process.hrtime.bigint() / 1_000n) }),
    memory() {
      for (let round = 0; round < 4; round++) globalThis.gc?.();
      const { rss, heapUsed, external } = process.memoryUsage();
      return { rss, heapUsed, external };
    },
    ...commands,
  };
  process.on('message', async (message) => {
    try {
      process.send((await all[message.type](message)) ?? {});
    } catch (error) {
      process.send({ failed: error.stack });
    }
  });
  // The bench that started this server is gone.
  process.on('disconnect', () => process.exit());
  try {
    process.send({ port: await listen() });
  } catch (error) {
    process.send({ failed: error.message });
  }
}

/** Listens on a free port of the loopback interface. */
export async function listenOn(http) {
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return http.address().port;
}

/** Counts the bytes that the sockets of an HTTP server have been given. */
export function writtenBy(http) {
  const sockets = new Set();
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return () => {
    let sum = 0;
    for (const socket of sockets) sum += socket.bytesWritten;
    return sum;
  };
}

export const turnOfTheLoop = () => new Promise(setImmediate);

/** How many connections an HTTP server has, upgraded ones included. */
export function connectionsOf(http) {
  return new Promise((resolve, reject) => {
    http.getConnections((error, count) => (error ? reject(error) : resolve({ count })));
  });
}
