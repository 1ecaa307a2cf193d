import { expect } from '@jest/globals';
import { closeCode } from './http-attack.js';
import { frame, upgrade, type RawSocket } from './raw-socket.js';
import type { Attack, Site } from './site.js';
import { sign } from './tokens.js';

/** What a client sends on a WebSocket, and how the server answers it. */
export interface SocketAttack extends Attack {
  /** Text of one frame each, or frames as bytes. */
  readonly sends: readonly (string | Buffer)[];
  /** Frames as they are; else each text, or bytes of MessagePack, is put into one. */
  readonly raw?: boolean;
  readonly codec?: 'msgpack';
  /** More headers of the upgrade. */
  readonly headers?: readonly string[];
  /** Whether `hello` is the attack. */
  readonly ungreeted?: boolean;
  /** The close code; `undefined` in a list of answers. 0: the connection ends without a close frame. */
  readonly close?: number;
  /** Code of the error that answers the command `a`, or `reply`. */
  readonly answer?: string;
  /** Code of an error that answers what has no id. */
  readonly error?: string;
}

const HELLO = { type: 'hello', id: 'h', payload: { versions: [1] } };

/** Opens a WebSocket by hand. */
export async function openSocket(
  site: Site,
  headers: readonly string[] = [],
  codec: 'json' | 'msgpack' = 'json',
): Promise<RawSocket> {
  const socket = await site.open();
  socket.write(upgrade([`Sec-WebSocket-Protocol: realtime.v1.${codec}`, ...headers]));
  expect((await socket.answer())?.status).toBe(101);
  return socket;
}

/** What comes next of a type: a text envelope in JSON, or of MessagePack the bytes as text. */
export async function nextMessage(
  socket: RawSocket,
  matches: (text: string) => boolean,
): Promise<string | undefined> {
  for (;;) {
    const next = await socket.frame();
    if (next === undefined || next.opcode === 8) return undefined;
    for (const text of next.payload.toString('latin1').split('\n')) if (matches(text)) return text;
  }
}

/** Makes an attack, and compares what comes back with its row. */
export async function runSocketAttack(site: Site, attack: SocketAttack): Promise<void> {
  const { sends, raw = false, codec, headers, ungreeted = false } = attack;
  const socket = await openSocket(site, headers, codec);
  try {
    const first = codec === 'msgpack' ? 0x82 : 0x81;
    if (!ungreeted) {
      const { encode } = await import('@msgpack/msgpack');
      const token = sign({ sub: site.nextUser() });
      const hello = { ...HELLO, payload: { ...HELLO.payload, token } };
      socket.write(frame(codec === 'msgpack' ? encode(hello) : JSON.stringify(hello), { first }));
      expect(await nextMessage(socket, (text) => text.includes('welcome'))).toBeDefined();
    }
    for (const sent of sends) socket.write(raw ? sent : frame(sent, { first }));
    if (attack.close !== undefined) {
      expect({ name: attack.name, close: (await closeCode(socket)) ?? 0 }).toEqual({
        name: attack.name,
        close: attack.close,
      });
    } else if (attack.error !== undefined) {
      const { error: code } = attack;
      const error = await nextMessage(socket, (text) => text.includes(code));
      expect(error).toBeDefined();
    } else {
      const answer = await nextMessage(socket, (text) => text.includes('"ref":"a"'));
      const { type, payload } = JSON.parse(answer ?? '{"type":"nothing"}') as {
        type: string;
        payload?: { code?: string };
      };
      const found = type === 'error' ? payload?.code : type;
      expect({ name: attack.name, answer: found }).toEqual({ name: attack.name, answer: attack.answer });
    }
  } finally {
    socket.destroy();
  }
}
