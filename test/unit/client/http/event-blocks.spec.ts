import { describe, expect, it } from '@jest/globals';
import { EventBlocks } from '../../../../lib/client/http/event-blocks.js';
import { patience } from '../../../support/patience.js';
import fc from '../../../support/property.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What a reader makes of a stream that comes in these chunks. */
function read(chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = [];
  const blocks = new EventBlocks((data) => seen.push(data));
  for (const chunk of chunks) blocks.push(chunk);
  return seen;
}

/** The stream cut at these places. */
function cut(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...new Set(places.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b);
  return [...at, whole.length].map((end, index) => whole.slice(at[index - 1] ?? 0, end));
}

describe('an event stream', () => {
  it.each([
    ['LF', 'data: a\n\ndata: b\n\n'],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n'],
    ['CR', 'data: a\r\rdata: b\r\r'],
    ['a mixture of them', 'data: a\r\n\ndata: b\n\r'],
    ['a byte order mark', '\ufeffdata: a\n\ndata: b\n\n'],
    ['comments', ':\n\n: hello\ndata: a\n:data: no\n\ndata: b\n\n'],
    ['other fields', 'retry: 5\nid: 7\nevent: x\ndata: a\n\nid: 8\n\ndata: b\ndataset: c\n\n'],
    ['no space behind the colon', 'data:a\n\ndata:b\n\n'],
  ])('is read with %s', (_what, text) => {
    expect(read([bytes(text)])).toEqual(['a', 'b']);
  });

  it('has one line end between the data of one block, and keeps a second space', () => {
    expect(read([bytes('data: a\ndata:  b\ndata\ndata: c\n\n')])).toEqual(['a\n b\n\nc']);
  });

  it('is not ended by a line end that two chunks share', () => {
    expect(read([bytes('data: a\r'), bytes('\ndata: b\r\n\r'), bytes('\n')])).toEqual(['a\nb']);
  });

  it('gives no block that has no end', () => {
    expect(read([bytes('data: a\n\ndata: b\n')])).toEqual(['a']);
  });

  it('takes a large block in small chunks at a cost that grows with its size alone', () => {
    const seen: string[] = [];
    const blocks = new EventBlocks((data) => seen.push(data));
    const chunk = bytes('x'.repeat(512));
    const count = 16_384;
    const began = performance.now();
    blocks.push(bytes('data: '));
    for (let n = 0; n < count; n++) blocks.push(chunk);
    blocks.push(bytes('\n\n'));
    expect(performance.now() - began).toBeLessThan(patience(1_000));
    expect(seen.map(({ length }) => length)).toEqual([512 * count]);
  });

  it('is the same wherever its chunks are cut: in a line, a line end, a character', () => {
    const piece = fc.constantFrom(
      'data: ä€😀\r\n\r\n',
      'data: b\n\n',
      'data: c\r\r',
      ':\n\n',
      'data: d\ndata: e\r\n\n',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(200)),
        (pieces, places) => {
          const whole = bytes(pieces.join(''));
          expect(read(cut(whole, places))).toEqual(read([whole]));
        },
      ),
    );
    const whole = bytes('data: ä€😀\r\n\r\ndata: b\r\r');
    expect(read([...whole].map((byte) => Uint8Array.of(byte)))).toEqual(['ä€😀', 'b']);
  });
});
