// What is small on the wire and large once it is parsed: an empty list is a byte of MessagePack, and 48 of memory.
import { encode } from '@msgpack/msgpack';
import { pause } from '../army.mjs';
import { BINARY, frame } from '../frames.mjs';

const PROTOCOLS = ['realtime.v1.msgpack'];
/** As many as fit into a message. */
const LISTS = Array.from({ length: 64_000 }, () => []);
/** Seven bytes of MessagePack each, and 12 KB where room is made for the numbers before the name. */
const NUMBERED = Array.from({ length: 9_000 }, () => ({ 1000: 1 }));
/** Messages of one frame. */
const PER_FRAME = 4;

/** Envelopes in one binary frame. */
const packed = (...list) =>
  frame(Buffer.concat(list.map((envelope) => encode(envelope))), { opcode: BINARY });
const asks = (army, count, payload = LISTS) =>
  Array.from({ length: count }, () => ({
    type: 'request',
    id: army.id(),
    channel: 'rooms.parsed',
    event: 'slow',
    payload,
  }));

export const parsedFloods = [
  {
    name: 'lists-before-welcome',
    title: '200 connections whose tokens are being verified, and 256 KiB of empty lists behind each',
    node: { verifyMs: 1_000 },
    answered: ['4006'],
    attack: (army) =>
      army.keep(
        200,
        (socket, index) => {
          army.write(socket, packed(army.hello(`mallory-${index}`)));
          army.write(socket, packed(...asks(army, PER_FRAME)));
        },
        (index) => ({ greet: false, protocols: PROTOCOLS, address: army.address(1 + (index % 3)) }),
      ),
  },
  {
    name: 'lists-in-handlers',
    title: '50 users whose slow requests carry 64 KiB of empty lists each',
    attack: (army) =>
      army.keep(
        50,
        async (socket, index) => {
          army.write(socket, packed(army.hello(`mallory-${index}`)));
          army.write(
            socket,
            packed({
              type: 'subscribe',
              id: army.id(),
              channel: 'rooms.parsed',
              payload: { presence: false },
            }),
          );
          await pause(200);
          await army.every(socket, 150, () => army.write(socket, packed(...asks(army, 1))));
        },
        () => ({ greet: false, protocols: PROTOCOLS }),
      ),
  },
  {
    name: 'numbered-names',
    title: '20 users whose requests carry 64 KiB of maps with a number for a name, in both codecs',
    attack: (army) =>
      army.keep(
        20,
        async (socket, index) => {
          const isBinary = index % 2 === 0;
          const write = (...list) =>
            isBinary ? army.write(socket, packed(...list)) : army.send(socket, ...list);
          write(army.hello(`mallory-${index}`));
          write({
            type: 'subscribe',
            id: army.id(),
            channel: 'rooms.numbered',
            payload: { presence: false },
          });
          await pause(200);
          const payload = isBinary ? NUMBERED : NUMBERED.slice(0, 5_000);
          await army.every(socket, 150, (round) =>
            write(
              round % 2 === 0
                ? asks(army, 1, payload)[0]
                : { type: 'publish', id: army.id(), channel: 'rooms.numbered', event: 'said', payload },
            ),
          );
        },
        (index) => ({ greet: false, ...(index % 2 === 0 && { protocols: PROTOCOLS }) }),
      ),
  },
];
