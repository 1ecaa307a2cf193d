import { expect } from '@jest/globals';
import { frame, type RawAnswer, type RawSocket } from './raw-socket.js';
import type { Attack, Site } from './site.js';

/** Bytes of one connection, and every answer that comes on it before the server ends it. */
export interface HttpAttack extends Attack {
  readonly bytes: string | Uint8Array;
  /** In their order. 101, and 200 of a stream, are the last that is read. */
  readonly answers: readonly number[];
  /** Whether the connection may end before the answer is decided: what comes behind it arrives at a moment of its own. */
  readonly mayEndBefore?: boolean;
  /** What the body of the last answer is like. */
  readonly body?: RegExp;
  /** Headers of the last answer; `undefined` for one that must not be there. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Close code of a `hello` without a token that follows 101. */
  readonly hello?: number;
}

const HELLO = JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } });

/** Makes an attack, and compares what comes back with its row. */
export async function runHttpAttack(site: Site, attack: HttpAttack): Promise<void> {
  const socket = await site.open();
  try {
    socket.write(attack.bytes);
    const answers: RawAnswer[] = [];
    for (;;) {
      const answer = await socket.answer();
      if (answer === undefined) break;
      answers.push(answer);
      if (answer.status === 101 || lasts(answer)) break;
    }
    const statuses = answers.map(({ status }) => status);
    if (attack.mayEndBefore === true && statuses.length === 0) return;
    expect({ name: attack.name, statuses }).toEqual({ name: attack.name, statuses: attack.answers });
    const last = answers.at(-1);
    if (attack.body !== undefined) expect(last?.body).toMatch(attack.body);
    for (const [name, value] of Object.entries(attack.headers ?? {}))
      expect([name, last?.headers.get(name)]).toEqual([name, value]);
    if (attack.hello !== undefined) {
      socket.write(frame(HELLO));
      expect(await closeCode(socket)).toBe(attack.hello);
    }
  } finally {
    socket.destroy();
  }
}

/** The code of the close frame that comes next but for other frames; `undefined` where the connection ends without one. */
export async function closeCode(socket: RawSocket): Promise<number | undefined> {
  for (;;) {
    const next = await socket.frame();
    if (next === undefined) return undefined;
    if (next.opcode === 8) return next.payload.length >= 2 ? next.payload.readUInt16BE(0) : 1005;
  }
}

const lasts = ({ headers }: RawAnswer): boolean =>
  (headers.get('content-type') ?? '').startsWith('text/event-stream');
