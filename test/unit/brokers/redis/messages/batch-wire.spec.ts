import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { decodeBatch, encodeBatch, sizeOf } from '../../../../../lib/brokers/redis/messages/batch-wire.js';

const message = (topic: string, ...bytes: readonly number[]) => ({ topic, bytes: Buffer.from(bytes) });
const WHOLE = encodeBatch({ from: 'node-ü', messages: [message('a', 1, 2), message('', 0, 255)] });

describe('a batch of messages between nodes', () => {
  it('is read as it was written: names, empty ones among them, and bytes of any value', () => {
    expect(decodeBatch(WHOLE)).toEqual({
      from: 'node-ü',
      messages: [message('a', 1, 2), message('', 0, 255)],
    });
    for (const messages of [[], [message('t')], [message('t', ...Array<number>(300).fill(9))]])
      expect(decodeBatch(encodeBatch({ from: 'n', messages }))).toEqual({ from: 'n', messages });
  });

  it('counts each message as what it takes', () => {
    const messages = [message('tö', 1, 2, 3)];
    const empty = encodeBatch({ from: 'n', messages: [] });
    expect(encodeBatch({ from: 'n', messages }).length - empty.length).toBe(sizeOf(message('tö', 1, 2, 3)));
  });

  it('hands out bytes of its own: what was received may lie in the buffer of a socket', () => {
    const received = Buffer.from(WHOLE);
    const read = decodeBatch(received);
    received.fill(0);
    expect([...(read?.messages[0]?.bytes ?? [])]).toEqual([1, 2]);
  });

  it('is nothing when a byte is missing or one is too many, at any place', () => {
    const boundaries = new Set([encodeBatch({ from: 'node-ü', messages: [] }).length, WHOLE.length]);
    boundaries.add(encodeBatch({ from: 'node-ü', messages: [message('a', 1, 2)] }).length);
    for (let end = 0; end < WHOLE.length; end += 1)
      expect([end, decodeBatch(WHOLE.subarray(0, end)) !== undefined]).toEqual([end, boundaries.has(end)]);
    expect(decodeBatch(Buffer.concat([WHOLE, Buffer.from([0])]))).toBeUndefined();
  });

  it('of another form, or with no sender, is nothing', () => {
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(WHOLE);
      copy[at] = value;
      return decodeBatch(copy);
    };
    expect(changed(0, 0x32)).toBeUndefined();
    expect(changed(1, 0x65)).toBeUndefined();
    // Lengths beyond the end, up to the largest that can be written.
    for (const at of [2, 3, 4, 5]) expect(changed(at, 0xff)).toBeUndefined();
    expect(decodeBatch(encodeBatch({ from: '', messages: [message('a', 1)] }))).toBeUndefined();
  });

  it('never throws, whatever comes', () => {
    for (let round = 0; round < 2_000; round += 1) {
      const noise = randomBytes(round % 64);
      const copy = Buffer.from(WHOLE);
      noise.copy(copy, round % copy.length);
      for (const bytes of [noise, Buffer.concat([Buffer.from('1m'), noise]), copy])
        expect(() => decodeBatch(bytes)).not.toThrow();
    }
  });
});
