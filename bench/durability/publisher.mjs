import { fileURLToPath } from 'node:url';
import { startServer } from '../support/server-process.mjs';

const script = fileURLToPath(new URL('publisher-process.mjs', import.meta.url));

export function startPublisher(settings) {
  return startServer(script, settings, { core: 1 });
}
