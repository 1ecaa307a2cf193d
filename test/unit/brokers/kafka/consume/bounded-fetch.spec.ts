import zlib from 'node:zlib';
import { describe, expect, it, jest } from '@jest/globals';
import * as kafka from '@platformatic/kafka';
import { isUnreadable } from '../../../../../lib/brokers/kafka/codes.js';
import { boundedFetch } from '../../../../../lib/brokers/kafka/consume/bounded-fetch.js';
import { expandedBytes, mostExpandedBytes } from '../../../../../lib/brokers/kafka/consume/expanded-bytes.js';

const { createRecordsBatch, fetchV13, Reader, Writer } = kafka;
const MIB = 1024 * 1024;
const TOPIC_ID = '01234567-89ab-cdef-0123-456789abcdef';
const [GZIP, SNAPPY, LZ4, ZSTD] = [1, 2, 3, 4] as const;

type Parse = (
  correlation: number,
  key: number,
  version: number,
  reader: kafka.Reader,
) => kafka.fetchV13.FetchResponse;

/** Reads an answer as a connection does. */
function parse(bytes: Buffer): kafka.fetchV13.FetchResponse {
  let found: Parse | undefined;
  const createAPI = ((_key: number, _version: number, _request: unknown, parser: Parse) => {
    found = parser;
    return { async: () => Promise.resolve() };
  }) as unknown as typeof kafka.createAPI;
  boundedFetch({ ...kafka, createAPI });
  if (found === undefined) throw new Error('There is no parser');
  return found(1, 1, 13, Reader.from(bytes));
}

/** An answer with the batches of some partitions of one topic. */
function answer(...partitions: readonly (readonly Buffer[])[]): Buffer {
  const all = partitions.map((batches) => Buffer.concat(batches));
  return Writer.create()
    .appendInt32(0)
    .appendInt16(0)
    .appendInt32(7)
    .appendArray([TOPIC_ID], (topic, id) => {
      topic.appendUUID(id).appendArray(all, (partition, records) => {
        partition.appendInt32(2).appendInt16(0).appendInt64(9n).appendInt64(8n).appendInt64(0n);
        partition.appendArray([3n, 4n], (aborted, id) => void aborted.appendInt64(id).appendInt64(1n));
        partition.appendInt32(-1).appendUnsignedVarInt(records.length + 1);
        partition.appendFrom(Reader.from(records).buffer);
      });
    })
    .appendTaggedFields().buffer;
}

type Compression = 'none' | 'gzip' | 'snappy' | 'lz4';

function batch(compression: Compression, ...values: readonly Buffer[]): Buffer {
  const messages = values.map((value) => ({ topic: 'orders', partition: 2, key: null, value }));
  return createRecordsBatch(messages as never, { compression }).buffer;
}

/** A batch of whose records that is said. */
function forged(form: number, data: Buffer, count = 1): Buffer {
  const head = Buffer.from(batch('none', Buffer.alloc(0)).subarray(0, 61));
  head.writeInt32BE(61 - 12 + data.length, 8);
  head.writeInt16BE(form, 21);
  head.writeInt32BE(count, 57);
  return Buffer.concat([head, data]);
}

const valuesOf = ({ responses }: kafka.fetchV13.FetchResponse): unknown =>
  responses[0]?.partitions.map(({ records }) =>
    (records ?? []).flatMap(({ records: found }) => found.map(({ value }) => value?.toString())),
  );

const errorOf = (bytes: Buffer): unknown => {
  try {
    parse(bytes);
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('an answer of Kafka with compressed records', () => {
  it('is read as by the client, whatever stands beside it', () => {
    const all = (['none', 'gzip', 'snappy', 'lz4'] as const).map((form) =>
      batch(form, Buffer.from(form), Buffer.from('2')),
    );
    const cut = batch('gzip', Buffer.from('cut'));
    const bytes = answer([...all, cut.subarray(0, -1)], [batch('lz4', Buffer.from('other'))], []);
    const found = parse(bytes);
    expect(found).toEqual(fetchV13.parseResponse(1, 1, 13, Reader.from(bytes)));
    expect(valuesOf(found)).toEqual([['none', '2', 'gzip', '2', 'snappy', '2', 'lz4', '2'], ['other'], []]);
  });

  it('is decompressed for its bytes only where its form could hold too many, and a batch that is cut does not count', () => {
    const measured = jest.spyOn(zlib, 'gunzipSync');
    const cut = forged(LZ4, Buffer.alloc(10), 2 ** 30).subarray(0, -1);
    expect(valuesOf(parse(answer([batch('gzip', Buffer.from('1')), cut])))).toEqual([['1']]);
    expect(measured).not.toHaveBeenCalled();
    const long = forged(GZIP, Buffer.alloc(300_000));
    expect(errorOf(answer([long]))).toMatchObject({ code: 'Z_DATA_ERROR' });
    expect(measured).toHaveBeenCalledTimes(1);
    measured.mockRestore();
  });

  it('that says of itself that it is an error is one, as by the client', () => {
    const failed = Writer.create()
      .appendInt32(0)
      .appendInt16(3)
      .appendInt32(7)
      .appendArray([], () => undefined);
    expect(errorOf(failed.appendTaggedFields().buffer)).toBeInstanceOf(kafka.ResponseError);
  });

  /** Records of which each counts 256 bytes: so many that this room is left. */
  const leaving = (bytes: number): number => (256 * MIB - bytes) / 256;
  const TOO_LARGE = { message: 'they would take more than 256 MiB of memory' };

  it('is not read where they would take more than 256 MiB: of one batch, or of several together', () => {
    const zeros = forged(GZIP, zlib.gzipSync(Buffer.alloc(33 * MIB)));
    for (const partitions of [
      [Array<Buffer>(8).fill(zeros)],
      [Array<Buffer>(4).fill(zeros), Array<Buffer>(4).fill(zeros)],
      [[forged(GZIP, zlib.gzipSync(Buffer.alloc(MIB + 1)), leaving(MIB))]],
      [[forged(LZ4, Buffer.alloc(0), leaving(0) + 1)]],
      [[forged(ZSTD, Buffer.alloc(0), leaving(0) + 1)]],
      [[forged(LZ4, Buffer.alloc(0), leaving(0)), forged(LZ4, Buffer.alloc(0), 1)]],
      [[batch('none', Buffer.from('x')), forged(SNAPPY, Buffer.from('ffffffff0f00', 'hex'))]],
    ]) {
      const error = errorOf(answer(...partitions));
      expect(error).toMatchObject(TOO_LARGE);
      expect(isUnreadable(error)).toBe(true);
    }
  });

  it('is read where they take 256 MiB: then the client says what is wrong with it', () => {
    for (const one of [
      forged(GZIP, zlib.gzipSync(Buffer.alloc(MIB)), leaving(MIB)),
      forged(LZ4, Buffer.alloc(0), leaving(0)),
      // Of records that are not compressed nothing becomes more than Kafka stores.
      forged(0, Buffer.alloc(0), leaving(0) + 1),
    ])
      expect(errorOf(answer([one]))).toMatchObject({ code: 'OUT_OF_BOUNDS' });
    const below = Array<Buffer>(7).fill(forged(GZIP, zlib.gzipSync(Buffer.alloc(MIB)), 1));
    expect(errorOf(answer(below))).toBeUndefined();
  });
});

describe('the bytes of compressed records', () => {
  const text = Buffer.from('{"order":17,"state":"sent"}'.repeat(20_000));
  const { lz4, snappy } = kafka.compressionsAlgorithms;

  it('are those that they have, and at most so many as their form can hold', () => {
    expect(expandedBytes(GZIP, zlib.gzipSync(text), 10 * MIB)).toBe(text.length);
    expect(mostExpandedBytes(GZIP, Buffer.alloc(10))).toBe(10_320);
    for (const bytesOf of [mostExpandedBytes, expandedBytes]) {
      expect(bytesOf(SNAPPY, Buffer.from(snappy.compressSync(text)), MIB)).toBe(text.length);
      const found = bytesOf(LZ4, Buffer.from(lz4.compressSync(text)), MIB);
      expect(found).toBeGreaterThanOrEqual(text.length);
      expect(found).toBeLessThan(text.length + 2 * 65_536 + 255 * 8);
    }
    expect(mostExpandedBytes(ZSTD, Buffer.alloc(1))).toBe(Infinity);
    expect([mostExpandedBytes(5, text), expandedBytes(5, text, MIB)]).toEqual([0, 0]);
  });

  it('are without end where they are more than asked for, and none where they cannot be read', () => {
    const packed = zlib.gzipSync(text);
    expect(expandedBytes(GZIP, packed, text.length)).toBe(text.length);
    expect(expandedBytes(GZIP, packed, text.length - 1)).toBe(Infinity);
    expect(expandedBytes(GZIP, packed, 0)).toBe(Infinity);
    expect(expandedBytes(GZIP, Buffer.from('no gzip'), MIB)).toBe(0);
    expect(expandedBytes(ZSTD, Buffer.from('no zstd'), MIB)).toBe(0);
    expect(mostExpandedBytes(SNAPPY, Buffer.alloc(0))).toBe(0);
    expect(mostExpandedBytes(SNAPPY, Buffer.from('ffffffffffffff', 'hex'))).toBe(2 ** 35 - 1);
  });

  it('of LZ4 are counted by block, with checksums and without, and whatever stands behind its end', () => {
    const head = (flags: number, sizes: number, ...more: readonly number[]) =>
      Buffer.from([0x04, 0x22, 0x4d, 0x18, flags, sizes, ...more, 0]);
    const block = (length: number, trailer = 0): Buffer => {
      const bytes = Buffer.alloc(4 + length + trailer);
      bytes.writeUInt32LE(length);
      return bytes;
    };
    const of = (...parts: readonly Buffer[]) => mostExpandedBytes(LZ4, Buffer.concat(parts));
    const end = Buffer.alloc(4);
    expect(of(head(0x40, 0x40), block(10), block(1_000), end)).toBe(2_550 + 65_536);
    expect(of(head(0x50, 0x40), block(10, 4), block(1_000, 4), end)).toBe(2_550 + 65_536);
    expect(of(head(0x49, 0x70, ...Array<number>(12).fill(0)), block(10), block(20_000), end)).toBe(
      2_550 + 4 * MIB,
    );
    // Of a block that is not compressed.
    const raw = block(5);
    raw.writeUInt32LE(0x8000_0005);
    expect(of(head(0x40, 0x40), raw, end)).toBe(5 * 255);
    expect(of(head(0x40, 0x40), end, Buffer.alloc(100))).toBe(100 * 255);
    expect(of(Buffer.alloc(100))).toBe(100 * 255);
    expect(of(Buffer.alloc(3))).toBe(3 * 255);
    expect(of(head(0x40, 0x40), block(10).subarray(0, 6))).toBe(10 * 255);
  });
});
