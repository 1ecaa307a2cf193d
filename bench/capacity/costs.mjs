import { readFileSync, writeFileSync } from 'node:fs';

/** Transports whose costs can be measured. */
export const TRANSPORTS = ['websocket', 'sse', 'polling'];

/**
 * What each operation costs on `transport`. `micros`: CPU microseconds of
 * - `connection`: upgrade or opening request, token, `hello`, one subscribe;
 * - `heartbeat`: one ping and its pong, or an answer without events and the poll behind it;
 * - `request`: one request and its reply, with a handler that does nothing;
 * - `clientPublish`, `publish`: one publish of a client with its reply, and of the application;
 * - `event`: encoding an event for the subscribers of a node;
 * - `receive`: one event that comes from the broker of a cluster;
 * - `flush`: one flush of a channel; `write`: one write to a subscriber's socket, with the poll behind it where it polls;
 *   `delivery`: one event in it.
 *
 * `bytes`: `base` of the process, `working` that garbage and buffers take on top, `connection` with its subscription, each
 * further `subscription`, a `channel`, a `keptEvent` of it, on the wire what a `write` takes beside its events, and the `envelope` around a payload, `clientEnvelope` where a client published it, and of the fit, the
 * `payload` and the `delivery` it made.
 */
const FIELDS = {
  micros: [
    'connection',
    'heartbeat',
    'request',
    'clientPublish',
    'publish',
    'event',
    'receive',
    'flush',
    'write',
    'delivery',
  ],
  bytes: [
    'base',
    'working',
    'connection',
    'subscription',
    'channel',
    'keptEvent',
    'write',
    'envelope',
    'clientEnvelope',
    'payload',
    'delivery',
  ],
};

/**
 * Checks a table of costs.
 *
 * @throws RangeError that names what is missing or no number of at least 0.
 */
export function checkCosts(costs) {
  if (!TRANSPORTS.includes(costs?.transport)) {
    throw new RangeError(
      `transport of the costs must be ${TRANSPORTS.join(' or ')}. A whole table is written by npm run capacity -- --save costs.json`,
    );
  }
  for (const [unit, names] of Object.entries(FIELDS)) {
    for (const name of names) {
      const value = costs?.[unit]?.[name];
      if (typeof value !== 'number' || !(value >= 0)) {
        throw new RangeError(
          `${unit}.${name} of the costs must be a number, 0 or more. A whole table is written by npm run capacity -- --save costs.json`,
        );
      }
    }
  }
  return costs;
}

/**
 * Reads a table of costs that was saved.
 *
 * @param {string} [transport] that the costs must be of. Default: any.
 * @throws RangeError with the remedy.
 */
export function readCosts(file, transport) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RangeError(
      `--costs ${file} cannot be read (${error.code}). npm run capacity -- --save ${file} writes one.`,
      { cause: error },
    );
  }
  const costs = checkCosts(parsed(file, text));
  if (transport !== undefined && transport !== costs.transport) {
    throw new RangeError(
      `--costs ${file} has the costs of ${costs.transport}, not of ${transport}. npm run capacity -- --transport ${transport} --save another.json measures them.`,
    );
  }
  return costs;
}

function parsed(file, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RangeError(`--costs ${file} is no JSON: ${error.message}`, { cause: error });
  }
}

export function saveCosts(file, costs) {
  writeFileSync(file, `${JSON.stringify(costs, null, 2)}\n`);
}
