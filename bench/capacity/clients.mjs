import { fileURLToPath } from 'node:url';
import { startServer } from '../support/server-process.mjs';

const script = fileURLToPath(new URL('server.mjs', import.meta.url));
/** Bytes of a payload, as JSON, in everything that is measured. */
export const BYTES = 128;

/** The application that is measured, in a process of its own. */
export function startApplication(options = {}) {
  return startServer(script, { bytes: BYTES, options });
}

/** A command of a client in channel `name`, with an id that must be in the text once. */
export function command(type, event, name, id) {
  return JSON.stringify({
    type,
    id,
    channel: `capacity.${name}`,
    event,
    payload: 'x'.repeat(BYTES - 2),
  });
}
