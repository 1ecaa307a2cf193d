// Frames that cost the server work, and that no limit of commands sees.
import { pause } from '../army.mjs';
import { CONTINUATION, deflated, envelopes, frame, PING, PONG, repeated, TEXT } from '../frames.mjs';

const SOCKETS = 8;
const attacker = () => ({ user: 'mallory' });
const unknown = () => ({ greet: false });
const nobody = () => ({});
const emptyText = repeated(frame(''));
/** Sockets that write the same again and again, as fast as it is taken. @param {Buffer} bytes */
const pouring = (army, bytes, options = attacker) =>
  army.keep(SOCKETS, (socket) => army.pour(socket, bytes), options);
/** Bytes of the largest frame that is taken. */
const MAX_FRAME = 256 * 1024;
const DEFLATE = ['Sec-WebSocket-Extensions: permessage-deflate'];

export const frameFloods = [
  {
    name: 'empty-frames',
    title: 'empty text frames',
    answered: ['4807'],
    attack: (army) => pouring(army, emptyText),
  },
  {
    name: 'empty-frames-anonymous',
    title: 'empty text frames of nobody',
    answered: ['4807'],
    attack: (army) => pouring(army, emptyText, nobody),
  },
  {
    name: 'empty-frames-before-hello',
    title: 'empty text frames before hello',
    answered: ['4807'],
    attack: (army) => pouring(army, emptyText, unknown),
  },
  {
    name: 'endless-fragments',
    title: 'a message of empty fragments that never ends',
    answered: ['4805', '4807'],
    attack: (army) =>
      army.keep(
        SOCKETS,
        (socket) => {
          army.write(socket, frame('', { fin: false }));
          return army.pour(socket, repeated(frame('', { opcode: CONTINUATION, fin: false })));
        },
        attacker,
      ),
  },
  {
    name: 'fragmented-nothing',
    title: 'empty messages in hundreds of empty fragments',
    answered: ['4807'],
    attack: (army) => {
      const parts = Array.from({ length: 500 }, () => frame('', { opcode: CONTINUATION, fin: false }));
      const message = Buffer.concat([
        frame('', { fin: false }),
        ...parts,
        frame('', { opcode: CONTINUATION }),
      ]);
      return pouring(army, repeated(message));
    },
  },
  {
    name: 'blank-frames',
    title: 'frames of 256 KiB of line feeds',
    answered: ['4807'],
    attack: (army) => {
      const blank = frame('\n'.repeat(MAX_FRAME));
      return pouring(army, blank);
    },
  },
  {
    name: 'ping-frames',
    title: 'ping and pong frames of 125 bytes',
    answered: ['4807'],
    attack: (army) => {
      const load = 'x'.repeat(125);
      const both = Buffer.concat([frame(load, { opcode: PING }), frame(load, { opcode: PONG })]);
      return pouring(army, repeated(both));
    },
  },
  {
    name: 'ping-envelopes',
    title: 'protocol pings, one per frame',
    answered: ['4807'],
    attack: (army) => pouring(army, repeated(envelopes({ type: 'ping', id: 'p' }))),
  },
  {
    name: 'pong-envelopes',
    title: 'protocol pongs, 250 per frame',
    answered: ['4807'],
    attack: (army) => {
      const pongs = envelopes(...Array.from({ length: 250 }, () => ({ type: 'pong', ref: 'p' })));
      return pouring(army, repeated(pongs));
    },
  },
  {
    name: 'packed-frames',
    title: '250 requests per frame',
    answered: ['rate_limited'],
    attack: (army) => {
      const asks = envelopes(
        ...Array.from({ length: 250 }, (_, id) => ({
          type: 'request',
          id: `r${id}`,
          channel: 'rooms.packed',
          event: 'echo',
        })),
      );
      return pouring(army, repeated(asks));
    },
  },
  {
    name: 'malformed-envelopes',
    title: '250 malformed envelopes per frame, each answered with its faults',
    answered: ['4807'],
    attack: (army) => {
      const wrong = envelopes(
        ...Array.from({ length: 250 }, () => ({ type: 'hello', id: 1, ts: 'x', channel: 7, payload: 3 })),
      );
      return pouring(army, repeated(wrong));
    },
  },
  {
    name: 'costly-json',
    title: 'deep arrays, and objects with sparse integer keys, within the byte rate',
    attack: (army) => {
      const keys = Array.from({ length: 4_000 }, (_, key) => `"${key * 104_729}":0`).join(',');
      const deep = `${'['.repeat(120)}${']'.repeat(120)}`;
      const nested = `[${Array.from({ length: 240 }, () => deep).join(',')}]`;
      const sayings = [`{${keys}}`, nested].map((payload) =>
        frame(`{"type":"publish","id":"c","channel":"rooms.costly","event":"said","payload":${payload}}`),
      );
      return army.keep(
        SOCKETS,
        (socket) => army.every(socket, 110, (round) => army.write(socket, sayings[round % 2])),
        (index) => ({ user: `mallory-${index}` }),
      );
    },
  },
  {
    name: 'unusual-frames',
    title: '300 connections of two addresses that send frames of 256 KiB of maps with unusual names',
    attack: (army) => {
      const maps = Array.from({ length: 5_500 }, (_, index) => `{"${index.toString(36)}":0}`).join(',');
      const line = `{"type":"publish","id":"a","channel":"rooms.unusual","event":"said","payload":[${maps}]}`;
      const four = frame([line, line, line, line].join('\n'));
      return army.keep(
        300,
        (socket) => army.pour(socket, four),
        (index) => ({ address: army.address(1 + (index % 2)) }),
      );
    },
  },
  {
    name: 'unfinished-messages',
    title: '900 connections that hold 255 KiB of a message that never ends',
    answered: ['4006'],
    attack: (army) => {
      const piece = frame('x'.repeat(255 * 1024), { declared: MAX_FRAME });
      return army.keep(
        900,
        (socket) => army.write(socket, piece),
        (index) => ({ user: `mallory-${index}`, address: army.address(1 + (index % 3)) }),
      );
    },
  },
  {
    name: 'unfinished-before-hello',
    title: 'the same before hello',
    answered: ['4006'],
    attack: (army) => {
      const piece = frame('x'.repeat(255 * 1024), { declared: MAX_FRAME });
      return army.keep(
        900,
        (socket) => army.write(socket, piece),
        (index) => ({ greet: false, address: army.address(1 + (index % 3)) }),
      );
    },
  },
  {
    name: 'compressed-blanks',
    title: 'compressed frames of 256 KiB of line feeds, 280 bytes each',
    answered: ['4807'],
    node: { options: { compression: true } },
    attack: (army) =>
      pouring(army, repeated(deflated('\n'.repeat(MAX_FRAME))), () => ({
        user: 'mallory',
        headers: DEFLATE,
      })),
  },
  {
    name: 'compression-bombs',
    title: 'compressed frames that inflate to 200 MB',
    answered: ['4806'],
    node: { options: { compression: true } },
    attack: (army) => {
      const bomb = deflated(Buffer.alloc(200_000_000, ' '));
      return army.keep(
        SOCKETS,
        (socket) => army.write(socket, bomb),
        () => ({ user: 'mallory', headers: DEFLATE }),
      );
    },
  },
  {
    name: 'frames-behind-the-end',
    title: 'connections that end with 4805 and read nothing, and go on writing',
    attack: (army) =>
      army.keep(
        200,
        async (socket) => {
          socket.deafen();
          army.write(socket, frame('{'));
          await pause(1);
          await army.pour(socket, frame('x'.repeat(60_000), { opcode: TEXT }));
        },
        attacker,
      ),
  },
];
