import { parseArgs } from 'node:util';
import { TRANSPORTS } from './costs.mjs';
import { bits, bytes, count, seconds, share } from './units.mjs';

const positive = (read) => (text) => {
  const value = read(text);
  if (value <= 0) throw new RangeError(`must be more than 0, not "${text}"`);
  return value;
};
const oneOf =
  (...words) =>
  (text) => {
    if (!words.includes(text)) throw new RangeError(`wants ${words.join(' or ')}, not "${text}"`);
    return text;
  };

/** Every flag: the field of the plan that it sets, how it is read, what it means. */
const FLAGS = {
  connections: { field: 'connections', read: positive(count), help: 'connections at the same time' },
  channels: { field: 'channels', read: positive(count), help: 'channels that have subscribers' },
  rate: { field: 'rate', read: count, help: 'events published a second, in all channels together' },
  transport: {
    field: 'transport',
    read: oneOf(...TRANSPORTS),
    help: 'how clients are connected: websocket, sse or polling. Default websocket',
  },
  subscribers: { field: 'subscribers', read: positive(count), help: 'subscribers of a channel' },
  'channels-per-connection': {
    field: 'channelsPerConnection',
    read: positive(count),
    help: 'says the subscribers instead: connections × this / channels. Default 1',
  },
  bytes: { field: 'bytes', read: positive(bytes), help: 'bytes of a payload. Default 128' },
  source: {
    field: 'source',
    read: oneOf('clients', 'application'),
    help: 'who publishes: clients, or the application. Default clients',
  },
  requests: { field: 'requests', read: count, help: 'requests with a reply a second. Default 0' },
  lifetime: {
    field: 'lifetime',
    read: positive(seconds),
    help: 'how long a connection lives on average. Default 1h',
  },
  heartbeat: { field: 'heartbeat', read: positive(seconds), help: 'heartbeat.interval. Default 25s' },
  'flush-delay': { field: 'flushDelay', read: seconds, help: 'maxFlushDelay. Default 20ms' },
  history: { field: 'history', read: count, help: "a channel's history.size. Default 1000" },
  'max-connections': {
    field: 'maxConnections',
    read: positive(count),
    help: 'limits.maxConnections of a node. Default 100000',
  },
  target: {
    field: 'target',
    read: positive(share),
    help: 'share of a core that a node may use. Default 60%',
  },
  memory: { field: 'memory', read: positive(bytes), help: 'memory that a node may use. Default no limit' },
  bandwidth: {
    field: 'bandwidth',
    read: positive(bits),
    help: 'bandwidth that a node may use. Default no limit',
  },
  cores: { field: 'cores', read: positive(count), help: 'cores of a machine. Default 1' },
  costs: { field: 'costs', read: String, help: 'a file of costs, instead of measuring' },
  save: { field: 'save', read: String, help: 'keeps the measured costs in a file' },
  table: {
    field: 'table',
    help: 'prints the events a second that a node carries, by connections and subscribers of a channel',
  },
  check: { field: 'check', help: 'measures a load that was not fitted, and compares' },
  help: { field: 'help', help: 'prints this' },
};

/**
 * Reads the command line.
 *
 * @param {readonly string[]} args
 * @returns fields of the plan that were said; the rest is filled in by {@link planOf}.
 * @throws RangeError that names the flag and the remedy.
 */
export function readFlags(args) {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([name, { read }]) => [name, { type: read ? 'string' : 'boolean' }]),
  );
  let values;
  try {
    ({ values } = parseArgs({ args: [...args], options, allowPositionals: false }));
  } catch (error) {
    throw new RangeError(remedy(error, args), { cause: error });
  }
  const said = {};
  for (const [name, value] of Object.entries(values)) {
    const { field, read } = FLAGS[name];
    try {
      said[field] = read ? read(value) : value;
    } catch (error) {
      throw new RangeError(`--${name} ${error.message}`, { cause: error });
    }
  }
  return said;
}

/** What `--help` prints. */
export function usage() {
  const lines = Object.entries(FLAGS).map(([name, { help }]) => `  --${name.padEnd(24)} ${help}`);
  return [
    'npm run capacity -- --connections 100000 --channels 1000 --rate 500 --memory 2GB',
    '',
    ...lines,
  ].join('\n');
}

function remedy(error, args) {
  if (error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${error.message}. --help lists the flags.`;
  const unknown = args.find(
    (arg) => arg.startsWith('-') && FLAGS[arg.replace(/^--|=.*$/g, '')] === undefined,
  );
  const word = unknown.replace(/^-+|=.*$/g, '');
  const near = Object.keys(FLAGS).find((name) => word !== '' && name.startsWith(word.slice(0, 3)));
  const advice = near === undefined ? '' : ` Did you mean --${near}?`;
  return `There is no flag ${unknown}.${advice} --help lists the flags.`;
}
