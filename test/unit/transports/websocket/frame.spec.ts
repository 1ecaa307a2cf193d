import { describe, expect, it, jest } from '@jest/globals';
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import {
  frameBinary,
  frameOne,
  framePayload,
  frameText,
  RSV1,
} from '../../../../lib/transports/websocket/frame.js';

const NEWLINE = 0x0a;

/** Exported by ws, unknown to its types. */
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable };

/** What a client's parser makes of the bytes: ws as the referee. */
async function parsed(bytes: Buffer): Promise<{ data: Buffer; isBinary: boolean }> {
  const receiver = new Receiver({ isServer: false });
  return new Promise((resolve, reject) => {
    receiver.on('message', (data: Buffer, isBinary: boolean) => resolve({ data, isBinary }));
    receiver.on('error', reject);
    receiver.write(bytes);
  });
}

describe('frames of the server (P4, RFC 6455 §5.2)', () => {
  it.each([
    [0, 2],
    [1, 2],
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
    [70_000, 10],
  ])('a payload of %i bytes has a header of %i (P4)', async (length, headerBytes) => {
    const payload = Buffer.alloc(length, 'x');
    const frame = frameText([payload], NEWLINE);

    expect(frame.length).toBe(headerBytes + length);
    expect(frame[0]).toBe(0x81);
    expect((frame[1] ?? 0) & 0x80).toBe(0);
    const { data, isBinary } = await parsed(frame);
    expect(isBinary).toBe(false);
    expect(data.equals(payload)).toBe(true);
  });

  it.each(['', 'x'.repeat(125), 'x'.repeat(126), 'é'.repeat(100), 'x'.repeat(65_536), 'half a 😀: \ud83d'])(
    'one envelope is framed like several, and shares its bytes (%#) (P4)',
    (text) => {
      const encoded = Buffer.from(text);
      const asText = frameOne(false, text);
      expect(asText.frame.equals(frameText([encoded], NEWLINE))).toBe(true);
      const asBytes = frameOne(true, new Uint8Array(encoded));
      expect(asBytes.frame.equals(frameBinary([encoded], undefined))).toBe(true);
      for (const { frame, bytes } of [asText, asBytes]) {
        expect(bytes.equals(encoded)).toBe(true);
        expect(bytes.buffer).toBe(frame.buffer);
        expect(bytes.byteOffset + bytes.length).toBe(frame.byteOffset + frame.length);
      }
    },
  );

  it('JSON envelopes are separated by a newline, with none at the end (P4)', () => {
    const frame = frameText([Buffer.from('{"a":1}'), Buffer.from('{"b":"é"}'), Buffer.from('3')], NEWLINE);
    expect(frame.toString('utf8', 2)).toBe('{"a":1}\n{"b":"é"}\n3');
  });

  it('MessagePack values follow one another in a binary frame (P4)', async () => {
    const frame = frameBinary([Buffer.from([0x81]), Buffer.from([0x01, 0x02])], undefined);
    expect([...frame]).toEqual([0x82, 3, 0x81, 0x01, 0x02]);
    await expect(parsed(frame)).resolves.toMatchObject({ isBinary: true });
  });

  it('the separators count in the length of the frame', () => {
    const halves = [Buffer.alloc(62, 'a'), Buffer.alloc(63, 'b')];
    expect(frameText(halves, undefined).length).toBe(2 + 125);
    expect(frameText(halves, NEWLINE).length).toBe(4 + 126);
  });

  it('a frame without envelopes is empty', () => {
    expect([...frameText([], NEWLINE)]).toEqual([0x81, 0]);
  });

  it('an empty envelope keeps its separator', () => {
    expect(
      frameText([Buffer.from('a'), Buffer.alloc(0), Buffer.from('b')], NEWLINE).toString('utf8', 2),
    ).toBe('a\n\nb');
  });

  it('framing does not change the envelopes, which other frames share (P22)', () => {
    const envelope = Buffer.from('{"type":"event"}');
    frameText([envelope, envelope], NEWLINE);
    expect(envelope.toString()).toBe('{"type":"event"}');
  });

  it('a frame is one allocation of which every byte is written (ws 8.20.1)', () => {
    const allocations: Buffer[] = [];
    const original = Buffer.allocUnsafe;
    const spy = jest.spyOn(Buffer, 'allocUnsafe').mockImplementation((size) => {
      const dirty = original.call(Buffer, size).fill(0xee);
      allocations.push(dirty);
      return dirty;
    });
    try {
      for (const length of [0, 5, 125, 126, 300, 65_535, 65_536]) {
        allocations.length = 0;
        const frame = frameText([Buffer.alloc(length, 'x'), Buffer.from('y')], NEWLINE);
        expect(allocations).toEqual([frame]);
        expect([length, frame.indexOf(0xee)]).toEqual([length, -1]);
      }
    } finally {
      spy.mockRestore();
    }
  });

  it('an existing payload can be framed', () => {
    expect([...framePayload(0x81 | RSV1, Buffer.from([1, 2]))]).toEqual([0xc1, 2, 1, 2]);
  });
});
