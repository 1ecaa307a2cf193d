import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findNats, NATS_REMEDY } from '../../scripts/nats.mjs';
import { freePort, newFolder, startOwnServer } from './own-server.mjs';

/** Starts a NATS server with JetStream, which stores as it does by default: its disk is asked every two minutes. */
export async function startNats({ core } = {}) {
  const program = findNats();
  if (program === undefined) throw new Error(NATS_REMEDY);
  const folder = newFolder('nats');
  const [port, monitor] = [await freePort(), await freePort()];
  const file = join(folder, 'server.conf');
  const lines = [
    `listen: "127.0.0.1:${port}"`,
    `http: "127.0.0.1:${monitor}"`,
    `jetstream { store_dir: "${join(folder, 'data')}", max_file_store: 16GB }`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const isServing = async () => {
    const answer = await fetch(`http://127.0.0.1:${monitor}/healthz`).catch(() => undefined);
    return answer?.ok === true;
  };
  const server = await startOwnServer({ command: [program, '-c', file], folder, core, isServing });
  return { ...server, address: `127.0.0.1:${port}` };
}
