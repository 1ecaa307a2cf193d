import { isChannelName } from '../../../lib/protocol/channel-name.js';
import type { ClientCommandType } from '../../../lib/protocol/commands.js';

/**
 * What docs/protocol.md says of a field's value, written down a second time and by hand: the schemas of the library are
 * what is tested.
 */
export type Rule = (value: unknown) => boolean;

const isText =
  (max: number): Rule =>
  (value) =>
    typeof value === 'string' && value.length >= 1 && value.length <= max && !/\p{Surrogate}/u.test(value);
const isWhole =
  (min: number): Rule =>
  (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min;
const isObject: Rule = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
const isList =
  (max: number, item: Rule): Rule =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every(item);
const isFlag: Rule = (value) => typeof value === 'boolean';
const isAnything: Rule = () => true;
/** Objects whose known fields are looked at one by one, below their own path. */
const isObjectWith =
  (fields: Readonly<Record<string, Rule>>, required: readonly string[] = []): Rule =>
  (value) =>
    isObject(value) &&
    required.every((name) => Object.hasOwn(value as object, name)) &&
    Object.entries(fields).every(
      ([name, rule]) =>
        !Object.hasOwn(value as object, name) || rule((value as Record<string, unknown>)[name]),
    );

const ID = isText(64);
const COMMON: Readonly<Record<string, Rule>> = {
  id: ID,
  ts: (value) => typeof value === 'number' && Number.isFinite(value),
  ref: ID,
  trace: isText(256),
  meta: isObject,
};
const ON_CHANNEL = { ...COMMON, channel: isChannelName };
const NAMED = { ...ON_CHANNEL, event: isText(128) };
const POSITION = { epoch: isText(64), seq: isWhole(0) };
const CLIENT = { name: isText(64), version: isText(64) };
const PRESENCE = { receive: isFlag, data: isAnything };

/** Fields by dotted path, for each command; `payload` alone where its content is the application's. */
export const COMMAND_FIELDS: Readonly<Record<ClientCommandType, Readonly<Record<string, Rule>>>> = {
  hello: {
    ...COMMON,
    payload: isObject,
    'payload.versions': isList(16, isWhole(0)),
    'payload.features': isList(64, isText(64)),
    'payload.token': isText(16_384),
    'payload.session': isText(2_048),
    'payload.client': isObjectWith(CLIENT),
    'payload.client.name': CLIENT.name,
    'payload.client.version': CLIENT.version,
  },
  auth: { ...COMMON, payload: isObject, 'payload.token': isText(16_384) },
  subscribe: {
    ...ON_CHANNEL,
    payload: isObject,
    'payload.position': isObjectWith(POSITION, ['epoch', 'seq']),
    'payload.position.epoch': POSITION.epoch,
    'payload.position.seq': POSITION.seq,
    'payload.params': isObject,
    'payload.snapshot': isFlag,
    'payload.presence': (value) => value === false || isObjectWith(PRESENCE)(value),
    'payload.presence.receive': isFlag,
    'payload.presence.data': isAnything,
  },
  unsubscribe: { ...ON_CHANNEL, payload: isAnything },
  snapshot: { ...ON_CHANNEL, payload: isAnything },
  publish: { ...NAMED, key: isText(128), ttl: isWhole(1), after: ID, payload: isAnything },
  signal: { ...NAMED, payload: isAnything },
  request: { ...NAMED, payload: isAnything },
  history: {
    ...ON_CHANNEL,
    payload: isObject,
    'payload.epoch': isText(64),
    'payload.from': isWhole(0),
    'payload.until': isWhole(0),
    'payload.limit': isWhole(1),
    'payload.reverse': isFlag,
  },
  presence: {
    ...ON_CHANNEL,
    payload: isObject,
    'payload.cursor': isText(512),
    'payload.limit': isWhole(1),
  },
  presence_update: { ...ON_CHANNEL, payload: isObject, 'payload.data': isAnything },
  ping: { ...COMMON, payload: isAnything },
  pong: { ref: ID, payload: isAnything },
  bye: { ...COMMON, payload: isAnything },
};

/** A well-formed command of each type, which a fuzzer then spoils; ids are given by the sender. */
export const WELL_FORMED: Readonly<Record<ClientCommandType, Readonly<Record<string, unknown>>>> = {
  hello: { type: 'hello', payload: { versions: [1], token: 'eve', client: { name: 'fuzz', version: '1' } } },
  auth: { type: 'auth', payload: { token: 'eve' } },
  subscribe: {
    type: 'subscribe',
    channel: 'rooms.1',
    payload: { position: { epoch: 'e', seq: 0 }, presence: { receive: true, data: 1 } },
  },
  unsubscribe: { type: 'unsubscribe', channel: 'rooms.1' },
  snapshot: { type: 'snapshot', channel: 'rooms.1' },
  publish: { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 },
  signal: { type: 'signal', channel: 'rooms.1', event: 'typing', payload: 1 },
  request: { type: 'request', channel: 'rooms.1', event: 'echo', payload: 1 },
  history: { type: 'history', channel: 'rooms.1', payload: { limit: 1 } },
  presence: { type: 'presence', channel: 'rooms.1', payload: { limit: 1 } },
  presence_update: { type: 'presence_update', channel: 'rooms.1', payload: { data: 1 } },
  ping: { type: 'ping' },
  pong: { type: 'pong', ref: 'p1' },
  bye: { type: 'bye' },
};

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Values that are wrong for most fields: what JSON and MessagePack both can carry. */
export const WRONG_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  -1e-9,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  1e308,
  '',
  ' ',
  'x',
  'NaN',
  '1',
  '\u0000',
  '\ud800',
  'a\nb',
  '<script>alert(1)</script>',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  'x'.repeat(65),
  'x'.repeat(129),
  'x'.repeat(201),
  'x'.repeat(600),
  'x'.repeat(20_000),
  'ü'.repeat(64),
  [],
  [null],
  [[]],
  [1, 2, 3],
  Array.from({ length: 100 }, () => 'x'),
  {},
  { epoch: 1, seq: 'x' },
  { constructor: { prototype: { polluted: 1 } } },
  { toJSON: 'no', toString: 1, valueOf: null, hasOwnProperty: 1 },
  { then: 'x', length: -1 },
  { type: 'ping', id: 'inner' },
  nested(100),
];

/** Gives a deep copy with the value at a dotted path; containers on the way are made where they are missing. */
export function spoil(
  command: Readonly<Record<string, unknown>>,
  path: string,
  value: unknown,
): Record<string, unknown> {
  const copy = structuredClone(command) as Record<string, unknown>;
  const names = path.split('.');
  let target = copy;
  for (const name of names.slice(0, -1)) {
    if (!isObject(target[name])) target[name] = {};
    target = target[name] as Record<string, unknown>;
  }
  target[names.at(-1) as string] = value;
  return copy;
}
