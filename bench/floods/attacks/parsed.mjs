// What is small on the wire and large once it is parsed: an empty list is a byte of MessagePack, and 48 of memory.
import { encode } from '@msgpack/msgpack';
import { pause } from '../army.mjs';
import { BINARY, frame } from '../frames.mjs';

const PROTOCOLS = ['realtime.v1.msgpack'];
/** As many as fit into a message. */
const LISTS = Array.from({ length: 64_000 }, () => []);
/** Messages of one frame. */
const PER_FRAME = 4;

/** Envelopes in one binary frame. */
const packed = (...list) =>
  frame(Buffer.concat(list.map((envelope) => encode(envelope))), { opcode: BINARY });
const asks = (army, count) =>
  Array.from({ length: count }, () => ({
    type: 'request',
    id: army.id(),
    channel: 'rooms.parsed',
    event: 'slow',
    payload: LISTS,
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
];
