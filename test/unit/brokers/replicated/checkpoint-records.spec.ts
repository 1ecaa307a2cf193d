import { describe, expect, it } from '@jest/globals';
import {
  CheckpointAssembly,
  chunkRecords,
  commitRecord,
  readCommit,
  type CheckpointCommit,
} from '../../../../lib/brokers/replicated/checkpoint-records.js';
import { MAX_ABOUT_BYTES, type Checkpoint } from '../../../../lib/brokers/replicated/ordered-log.js';

const MAX_RECORD_BYTES = 2_000;
const ID = 'save-1';
/** What one chunk record of that id holds. */
const ROOM = MAX_RECORD_BYTES - 6 - ID.length;

describe('records of a checkpoint', () => {
  it.each([
    ['no bytes', 0, 0],
    ['one byte', 1, 1],
    ['exactly one chunk', ROOM, 1],
    ['one byte more than a chunk', ROOM + 1, 2],
    ['many chunks', ROOM * 5 + 7, 6],
  ])('hold %s, each within the size of a record', (_, size, count) => {
    const saved = checkpoint(size);
    const records = [...chunkRecords(ID, saved.bytes, MAX_RECORD_BYTES)];
    expect(records).toHaveLength(count);
    for (const record of records) expect(record.length).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    const found = assemble(commitOf(saved, count), records);
    expect(found).toEqual({ ...saved, bytes: Buffer.from(saved.bytes) });
  });

  it('are refused where a record has no room for a chunk', () => {
    expect(() => [...chunkRecords(ID, new Uint8Array(10), 1_000)]).toThrow(RangeError);
  });

  it('keep offsets beyond 32 bits and the longest `about`', () => {
    const saved = { ...checkpoint(1), offset: 2 ** 52 + 1, about: new Uint8Array(MAX_ABOUT_BYTES).fill(3) };
    const commit = readCommit(commitRecord(ID, saved, 1, 2 ** 40 + 3));
    expect(commit).toMatchObject({ id: ID, chunks: 1, firstOffset: 2 ** 40 + 3 });
    expect(commit?.head).toEqual({ incarnation: 'life', offset: 2 ** 52 + 1, about: saved.about });
  });

  it('are put together without those of others, without copies and without foreign bytes', () => {
    const saved = checkpoint(ROOM * 3);
    const mine = [...chunkRecords(ID, saved.bytes, MAX_RECORD_BYTES)];
    const others = [...chunkRecords('save-2', checkpoint(ROOM * 3, 9).bytes, MAX_RECORD_BYTES)];
    const mixed = mine.flatMap((record, index) => [
      others[index] ?? Buffer.of(),
      Buffer.from('foreign'),
      new Uint8Array(0),
      record,
      record,
    ]);
    expect(assemble(commitOf(saved, 3), mixed)?.bytes).toEqual(Buffer.from(saved.bytes));
  });

  it.each<[string, (records: Uint8Array[]) => Uint8Array[]]>([
    ['a chunk is missing', (records) => records.slice(1)],
    ['the last chunk is missing', (records) => records.slice(0, -1)],
    [
      'chunks are exchanged',
      ([first, second, ...rest]) => [second, first, ...rest].flatMap((each) => each ?? []),
    ],
    [
      'a byte is another one',
      (records) =>
        records.map((record, index) => {
          const copy = record.slice();
          if (index === 1) copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
          return copy;
        }),
    ],
  ])('are no checkpoint when %s', (_, damage) => {
    const saved = checkpoint(ROOM * 3);
    const records = [...chunkRecords(ID, saved.bytes, MAX_RECORD_BYTES)];
    expect(assemble(commitOf(saved, 3), damage(records))).toBeUndefined();
  });

  it('are distinguished from commits', () => {
    const saved = checkpoint(10);
    const [chunk = Buffer.of()] = chunkRecords(ID, saved.bytes, MAX_RECORD_BYTES);
    const commit = commitRecord(ID, saved, 1, 0);
    expect(readCommit(chunk)).toBeUndefined();
    expect(readCommit(Buffer.of())).toBeUndefined();
    expect(readCommit(Buffer.from('foreign bytes'))).toBeUndefined();
    // All that a commit must have, up to its `about`.
    const least = commit.length - saved.about.length;
    for (let length = 0; length < least; length++)
      expect(readCommit(commit.subarray(0, length))).toBeUndefined();
  });

  it('refuse names and an `about` that are too long', () => {
    const saved = checkpoint(1);
    expect(() => commitRecord('x'.repeat(65), saved, 1, 0)).toThrow(RangeError);
    expect(() => commitRecord(ID, { ...saved, incarnation: 'x'.repeat(65) }, 1, 0)).toThrow(RangeError);
    expect(() => commitRecord(ID, { ...saved, about: new Uint8Array(MAX_ABOUT_BYTES + 1) }, 1, 0)).toThrow(
      RangeError,
    );
  });
});

function checkpoint(size: number, seed = 1): Checkpoint {
  const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 7 + seed) & 0xff);
  return { incarnation: 'life', offset: 12, about: Uint8Array.of(1, 2, 3), bytes };
}

function commitOf(saved: Checkpoint, chunks: number): CheckpointCommit {
  const commit = readCommit(commitRecord(ID, saved, chunks, 5));
  if (commit === undefined) throw new Error('no commit');
  return commit;
}

function assemble(commit: CheckpointCommit, records: readonly Uint8Array[]): Checkpoint | undefined {
  const assembly = new CheckpointAssembly(commit);
  for (const record of records) assembly.add(record);
  return assembly.finish();
}
