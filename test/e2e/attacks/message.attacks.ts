import { encode } from '@msgpack/msgpack';
import type { SocketAttack } from './support/socket-attack.js';

/** A command, as text: JSON.stringify would leave out what is the attack. */
const command = (type: string, rest: string): string => `{"type":"${type}","id":"a"${rest}}`;
const subscribe = (channel: string): string =>
  command('subscribe', `,"channel":${JSON.stringify(channel)},"payload":{}`);
const nested = (levels: number, open = '[', close = ']', core = '1'): string =>
  open.repeat(levels) + core + close.repeat(levels);
const bytes = (...values: readonly number[]): Buffer => Buffer.from(values);
const text = (value: string): Buffer => Buffer.concat([bytes(0xa0 | value.length), Buffer.from(value)]);

/** Names of channels that an attacker tries. */
const NAMES: readonly (readonly [name: string, channel: string, answer: string])[] = [
  ['a wildcard', 'rooms.*', 'bad_request'],
  ['a wildcard of Redis', 'rooms.?', 'bad_request'],
  ['a set of Redis', 'rooms.[a-z]', 'bad_request'],
  ['the wildcard of other brokers', 'rooms.>', 'bad_request'],
  ['a hash', 'rooms.#', 'bad_request'],
  ['a hash tag of Redis', 'rooms.{evil}', 'bad_request'],
  ['a pattern', 'rooms.:room.x', 'unknown_channel'],
  ['a NUL', 'rooms.1\u0000', 'bad_request'],
  ['a line break', 'rooms.1\r\nX: y', 'bad_request'],
  ['an escape sequence', 'rooms.\u001b[31m', 'bad_request'],
  ['a blank', 'rooms. 1', 'bad_request'],
  ['a Cyrillic letter', 'r\u043eoms.1', 'bad_request'],
  ['a full-width letter', '\uff52ooms.1', 'bad_request'],
  ['a zero-width space', 'rooms.\u200b1', 'bad_request'],
  ['a direction mark', 'rooms.\u202e1', 'bad_request'],
  ['a combining mark', 'rooms.e\u0301', 'bad_request'],
  ['a full-width dot', 'rooms\uff0e1', 'bad_request'],
  ['other case', 'ROOMS.1', 'unknown_channel'],
  ['the prototype', '__proto__', 'unknown_channel'],
  ['a constructor', 'constructor', 'unknown_channel'],
  ['hasOwnProperty', 'hasOwnProperty', 'unknown_channel'],
  ['the channel of another user', '$user.root', 'forbidden'],
  ['the channel of another user, written otherwise', '$user.r~6Fot', 'forbidden'],
  ['the channel of nobody', '$user.', 'bad_request'],
  ['a channel of the library', '$control', 'unknown_channel'],
  ['a channel of others', 'secrets.root', 'forbidden'],
  ['a path upwards', 'rooms.../../etc/passwd', 'bad_request'],
  ['an encoded path upwards', 'rooms.%2e%2e%2f', 'bad_request'],
  ['an empty segment', 'rooms..1', 'bad_request'],
  ['a dot at the end', 'rooms.1.', 'bad_request'],
  ['a dot at the beginning', '.rooms.1', 'bad_request'],
  ['nothing', '', 'bad_request'],
  ['201 characters', `rooms.${'a'.repeat(195)}`, 'bad_request'],
  ['quotes and SQL', "rooms.1' OR '1'='1", 'bad_request'],
  ['a template', 'rooms.${7*7}', 'bad_request'],
  ['a script', 'rooms.<script>', 'bad_request'],
];

/** Fields of commands that take what a client makes up. */
const FIELDS: readonly (readonly [name: string, before: string, after: string])[] = [
  ['payload', command('request', ',"event":"echo","payload":').slice(0, -1), '}'],
  ['meta', command('publish', ',"channel":"rooms.1","event":"said","payload":1,"meta":').slice(0, -1), '}'],
  ['params', command('subscribe', ',"channel":"rooms.1","payload":{"params":').slice(0, -1), '}}'],
  [
    'presence data',
    command('subscribe', ',"channel":"rooms.1","payload":{"presence":{"data":').slice(0, -1),
    '}}}',
  ],
];
const POLLUTION = [
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"\\u005f\\u005fproto__":{"polluted":true}}',
];

export const nameAttacks: readonly SocketAttack[] = [
  ...NAMES.map(([name, channel, answer]) => ({
    name: `a subscribe to a name with ${name}`,
    clause: 'P23, G9',
    sends: [subscribe(channel)],
    answer,
  })),
  ...[
    ['a list', '["rooms.1"]'],
    ['an object', '{"toString":"rooms.1"}'],
    ['a number', '1'],
    ['null', 'null'],
  ].map(([name, value]) => ({
    name: `a subscribe to a name that is ${name as string}`,
    clause: 'P6b',
    sends: [command('subscribe', `,"channel":${value as string},"payload":{}`)],
    answer: 'bad_request',
  })),
  ...['constructor', '__proto__', 'toString', 'said\u0000', 'joined'].map((event) => ({
    name: `a request of the handler ${JSON.stringify(event)}`,
    clause: 'G9, P6b',
    sends: [command('request', `,"event":${JSON.stringify(event)}`)],
    answer: 'bad_request',
  })),
  ...['constructor', '__proto__', 'deleted'].map((event) => ({
    name: `a publish of the event ${event}, which nobody declared`,
    clause: 'G9',
    sends: [command('publish', `,"channel":"rooms.1","event":"${event}","payload":1`)],
    answer: 'forbidden',
  })),
  ...['__proto__', 'constructor', 'welcome', 'event', 'HELLO'].map((type) => ({
    name: `a command of the type ${type}`,
    clause: 'P6b',
    sends: [command(type, '')],
    answer: 'bad_request',
  })),
  {
    name: 'a history of a channel of others',
    clause: 'G10',
    sends: [command('history', ',"channel":"secrets.root","payload":{}')],
    answer: 'not_subscribed',
  },
  {
    name: 'a list of members of a channel of others',
    clause: 'G10',
    sends: [command('presence', ',"channel":"secrets.root","payload":{}')],
    answer: 'not_subscribed',
  },
];

export const payloadAttacks: readonly SocketAttack[] = [
  ...FIELDS.flatMap(([field, before, after]) =>
    POLLUTION.map((value) => ({
      name: `${value} as ${field}, which changes no prototype`,
      clause: 'P29, G27',
      sends: [before + value + after],
      answer: 'reply',
    })),
  ),
  {
    name: 'a type in the prototype of an envelope',
    clause: 'P6b',
    sends: ['{"__proto__":{"type":"ping","id":"x"},"id":"a"}'],
    answer: 'bad_request',
  },
  {
    name: 'a user that the client says of itself',
    clause: 'G10, P6a',
    sends: [command('request', ',"event":"whoami","user":"root"')],
    answer: 'reply',
  },
  {
    name: 'a number of the log that the client says of itself',
    clause: 'P5, P6a',
    sends: [command('publish', ',"channel":"rooms.1","event":"said","payload":1,"seq":9,"epoch":"x"')],
    answer: 'reply',
  },
  ...[129, 10_000, 30_000].map((levels) => ({
    name: `${levels} nested lists`,
    clause: 'P4, G24',
    sends: [command('request', `,"event":"echo","payload":${nested(levels)}`)],
    close: 4805,
  })),
  {
    name: '5,000 nested objects',
    clause: 'P4, G24',
    sends: [command('request', `,"event":"echo","payload":${nested(5_000, '{"a":', '}')}`)],
    close: 4805,
  },
  {
    name: '60,000 brackets that never close',
    clause: 'P4, G24',
    sends: ['['.repeat(60_000)],
    close: 4805,
  },
  {
    name: 'a message above the limit',
    clause: 'P4, G24',
    sends: [command('request', `,"event":"echo","payload":"${'x'.repeat(80_000)}"`)],
    close: 4806,
  },
  {
    name: 'a frame above the limit',
    clause: 'P4, G24',
    sends: ['x'.repeat(2_000_000)],
    close: 4806,
  },
  { name: 'more envelopes than a frame may have', clause: 'P4', sends: ['{}\n'.repeat(300)], close: 4805 },
  { name: 'bytes that are no UTF-8', clause: 'P6c', sends: [bytes(0x7b, 0xff, 0xfe, 0x7d)], close: 4805 },
  { name: 'a text that is no JSON', clause: 'P6c', sends: ['{type:"ping"}'], close: 4805 },
  { name: 'a number as envelope', clause: 'P6', sends: ['1'], error: 'bad_request' },
  { name: 'null as envelope', clause: 'P6', sends: ['null'], error: 'bad_request' },
  ...[
    ['1e999', 'reply'],
    ['9'.repeat(5_000), 'reply'],
    ['-0', 'reply'],
  ].map(([value, answer]) => ({
    name: `the number ${(value as string).slice(0, 8)} as payload`,
    clause: 'P29',
    sends: [command('request', `,"event":"echo","payload":${value as string}`)],
    answer: answer as string,
  })),
  ...['1e999', '-1', '1.5', '9007199254740993', '"1"', 'null', '{}'].map((seq) => ({
    name: `a position with the number ${seq}`,
    clause: 'P6b, P10',
    sends: [command('subscribe', `,"channel":"rooms.1","payload":{"position":{"epoch":"e","seq":${seq}}}`)],
    answer: 'bad_request',
  })),
  {
    name: 'params above their limit',
    clause: 'G13',
    sends: [command('subscribe', `,"channel":"rooms.1","payload":{"params":{"a":"${'x'.repeat(5_000)}"}}`)],
    answer: 'message_too_large',
  },
  {
    name: 'presence data above its limit',
    clause: 'G13',
    sends: [
      command(
        'subscribe',
        `,"channel":"rooms.1","payload":{"presence":{"data":{"a":"${'x'.repeat(5_000)}"}}}`,
      ),
    ],
    answer: 'message_too_large',
  },
  {
    name: 'an id with 65 characters',
    clause: 'P5',
    sends: [`{"type":"ping","id":"${'a'.repeat(65)}"}\n${command('nothing', '')}`],
    answer: 'bad_request',
  },
];

/** The same below JSON: MessagePack that lies. */
export const msgpackAttacks: readonly SocketAttack[] = [
  ['a map of four billion members', bytes(0xdf, 0xff, 0xff, 0xff, 0xff)],
  ['a list of four billion elements', bytes(0xdd, 0xff, 0xff, 0xff, 0xff)],
  ['a text of four billion bytes', bytes(0xdb, 0xff, 0xff, 0xff, 0xff)],
  ['bytes of four billion', bytes(0xc6, 0xff, 0xff, 0xff, 0xff)],
  ['an extension of four billion bytes', bytes(0xc9, 0xff, 0xff, 0xff, 0xff, 0x01)],
  ['an unknown extension', bytes(0x81, 0xa1, 0x61, 0xd4, 0x05, 0x00)],
  ['the byte that is never used', bytes(0xc1)],
  [
    'a timestamp of 12 bytes beyond all dates',
    bytes(0x81, 0xa1, 0x61, 0xc7, 12, 0xff, ...Array<number>(12).fill(0xff)),
    true,
  ],
  ['a timestamp of a wrong size', bytes(0x81, 0xa1, 0x61, 0xc7, 3, 0xff, 0, 0, 0)],
  ['a key that is a number', bytes(0x81, 0x01, 0x02), true],
  ['a key that is a list', bytes(0x81, 0x90, 0x02)],
  ['a key that is nil', bytes(0x81, 0xc0, 0x02)],
  ['a key of the prototype', Buffer.concat([bytes(0x81), text('__proto__'), bytes(0x80)])],
  ['30,000 nested lists', Buffer.alloc(30_000, 0x91)],
  ['30,000 nested maps', Buffer.concat(Array<Buffer>(15_000).fill(bytes(0x81, 0xa1, 0x61)))],
  ['a number as envelope', bytes(0x01), true],
  ['half a map', bytes(0x82, 0xa1, 0x61)],
  ['600 envelopes', Buffer.alloc(600, 0x80)],
  ['a text that is no UTF-8', Buffer.concat([bytes(0x81), text('type'), bytes(0xa2, 0xff, 0xfe)]), true],
].map(([name, sent, answered]) => ({
  name: `MessagePack with ${name as string}`,
  clause: 'P1, P4, G24',
  codec: 'msgpack' as const,
  sends: [sent as Buffer],
  ...(answered === true ? { error: 'bad_request' } : { close: 4805 }),
}));

/** A frame of the other kind. */
export const codecAttacks: readonly SocketAttack[] = [
  {
    name: 'text on a connection of MessagePack',
    clause: 'P1c',
    codec: 'msgpack',
    raw: true,
    sends: [Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x7b, 0x7d])],
    close: 4805,
  },
  {
    name: 'MessagePack on a connection of JSON',
    clause: 'P1c',
    raw: true,
    sends: [
      Buffer.concat([Buffer.from([0x82, 0x80 | 18, 0, 0, 0, 0]), encode({ type: 'ping', id: 'abcde' })]),
    ],
    close: 4805,
  },
];
