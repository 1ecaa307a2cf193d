import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, newFolder, startOwnServer } from './own-server.mjs';

/** What a row of Centrifugo needs: it is a program, and no package of npm. */
export const CENTRIFUGO_REMEDY =
  'Centrifugo 6 is not on the PATH, nor named by CENTRIFUGO_PATH: its rows are left out.';

/** The program of Centrifugo, if there is one. */
export function findCentrifugo(env = process.env) {
  const program = env.CENTRIFUGO_PATH || 'centrifugo';
  const { stdout } = spawnSync(program, ['version'], { encoding: 'utf8' });
  return /Centrifugo/i.test(stdout ?? '') ? program : undefined;
}

/**
 * Starts a node of Centrifugo over a Redis, whose channels of the namespace `bench` keep their last thousand events for an hour, and that
 * remembers ids of publishes.
 *
 * @throws Error when it does not come up.
 */
export async function startCentrifugo({ program, redisUrl, core }) {
  const folder = newFolder('centrifugo');
  const port = await freePort();
  const config = {
    http_server: { address: '127.0.0.1', port },
    http_api: { insecure: true },
    health: { enabled: true },
    client: { insecure: true, allow_anonymous_connect_without_token: true, channel_limit: 10_000 },
    engine: { type: 'redis', redis: { address: redisUrl } },
    channel: { namespaces: [{ name: 'bench', history_size: 1_000, history_ttl: '1h' }] },
    log: { level: 'error' },
  };
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const isServing = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    return answer?.ok === true;
  };
  const server = await startOwnServer({ command: [program, '-c', file], folder, core, isServing });
  return {
    ...server,
    httpUrl: `http://127.0.0.1:${port}`,
    url: `ws://127.0.0.1:${port}/connection/websocket`,
  };
}
