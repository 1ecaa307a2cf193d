import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { Redis } from 'ioredis';
import { freePort, newFolder } from './own-server.mjs';
import { canPin } from './pinning.mjs';

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/**
 * Starts a Redis of the bench's own: a free port on loopback, a temporary folder, nothing saved, one core where the system
 * can pin.
 *
 * @param {{ core?: number, args?: readonly string[] }} [options] `args` are settings as on the command line.
 * @throws Error when there is no `redis-server`, or it does not come up.
 */
export async function startRedis({ core, args = [] } = {}) {
  const port = await freePort();
  const folder = newFolder('redis');
  const settings = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...args];
  // A subscriber that is slower than its round must show as time, not as a connection that was cut.
  const command = ['redis-server', ...settings.map(String), '--client-output-buffer-limit', 'pubsub 0 0 0'];
  const [program, ...rest] =
    canPin && core !== undefined ? ['taskset', '-c', String(core), ...command] : command;
  const child = spawn(program, rest, { stdio: 'ignore' });
  const gone = new Promise((resolve) => {
    child.once('error', resolve);
    child.once('exit', resolve);
  });
  // Whatever ends the bench ends its servers.
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const admin = new Redis(port, '127.0.0.1', { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on('error', () => undefined);
  const up = await Promise.race([admin.ping(), gone.then(() => undefined)]);
  if (up === undefined) {
    admin.disconnect();
    rmSync(folder, { recursive: true, force: true });
    throw new Error('redis-server does not start: is Redis 7 or newer on the PATH?');
  }
  const kill = async () => {
    end();
    await gone;
    process.off('exit', end);
  };
  return {
    port,
    folder,
    url: `redis://127.0.0.1:${port}`,
    /** For what the bench itself asks; what is measured has connections of its own. */
    admin,
    /** CPU time of the server so far, its background threads included, in microseconds. */
    async cpuMicros() {
      const text = await admin.info('cpu');
      const seconds = (name) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)[1]);
      return 1e6 * (seconds('used_cpu_sys') + seconds('used_cpu_user'));
    },
    /** Ends the process at once, as a crash does. */
    kill,
    async stop() {
      admin.disconnect();
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
