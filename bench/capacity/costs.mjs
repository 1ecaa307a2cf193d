import { readFileSync, writeFileSync } from 'node:fs';

/**
 * What each operation costs. `micros`: CPU microseconds of
 * - `connection`: upgrade, token, `hello`, one subscribe;
 * - `heartbeat`: one ping and its pong;
 * - `request`: one request and its reply, with a handler that does nothing;
 * - `clientPublish`, `publish`: one publish of a client with its reply, and of the application;
 * - `event`: encoding an event for the subscribers of a node;
 * - `receive`: one event that comes from the broker of a cluster;
 * - `flush`: one flush of a channel; `write`: one write to a subscriber's socket; `delivery`: one event in it.
 *
 * `bytes`: `base` of the process, `working` that garbage and buffers take on top, `connection` with its subscription, each
 * further `subscription`, a `channel`, a `keptEvent` of it, `envelope` around a payload on the wire, `clientEnvelope` where a client published it, and of the fit, the
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

export function readCosts(file) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RangeError(
      `--costs ${file} cannot be read (${error.code}). npm run capacity -- --save ${file} writes one.`,
      { cause: error },
    );
  }
  try {
    return checkCosts(JSON.parse(text));
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new RangeError(`--costs ${file} is no JSON: ${error.message}`, { cause: error });
  }
}

export function saveCosts(file, costs) {
  writeFileSync(file, `${JSON.stringify(costs, null, 2)}\n`);
}
