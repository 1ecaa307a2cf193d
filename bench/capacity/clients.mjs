import { fileURLToPath } from 'node:url';
import { sign } from '../connect/check.mjs';
import { startServer } from '../support/server-process.mjs';

const script = fileURLToPath(new URL('server.mjs', import.meta.url));
/** Bytes of a payload, as JSON, in everything that is measured. */
export const BYTES = 128;

/** The application that is measured, in a process of its own. */
export function startApplication(options = {}) {
  return startServer(script, { bytes: BYTES, options });
}

/** How a client comes in: with a token, then subscribed to the channels, one after the other. */
export function joinOf(user, channels) {
  return {
    path: '/realtime',
    protocols: ['realtime.v1.json', `bearer.${sign(user)}`],
    steps: [
      { say: [JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } })], hear: '"welcome"' },
      {
        say: channels.map((name, index) =>
          JSON.stringify({ type: 'subscribe', id: `sub-${index}`, channel: `capacity.${name}` }),
        ),
        hear: `sub-${channels.length - 1}`,
      },
    ],
  };
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
