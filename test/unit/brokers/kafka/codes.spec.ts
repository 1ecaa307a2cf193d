import { describe, expect, it } from '@jest/globals';
import { compressionsAlgorithms, fetchV13, NetworkError, Reader, TimeoutError } from '@platformatic/kafka';
import { isEpochAnswer, isUnreadable } from '../../../../lib/brokers/kafka/codes.js';

describe('the answer of Kafka about the end of a term', () => {
  it.each([
    ['the first partition', 0, 0, 0, true],
    ['another one, as the protocol has it', 3, 3, 0, true],
    ['another one, its two first fields swapped', 3, 0, 3, true],
    ['an error', 3, 3, 6, false],
    ['an error, swapped', 3, 6, 3, false],
    ['an error whose code is the number of the partition', 6, 6, 6, false],
    ['an error of the first partition', 0, 0, 74, false],
    ['an error of the first partition, swapped', 0, 74, 0, false],
    ['the answer for another partition', 3, 2, 0, false],
  ])('%s is understood (G6)', (_, asked, partition, errorCode, isGood) => {
    expect(isEpochAnswer(asked, { partition, errorCode })).toBe(isGood);
  });
});

describe('an answer of Kafka that the client cannot read', () => {
  const errorOf = (read: () => unknown): unknown => {
    try {
      read();
    } catch (error) {
      return error;
    }
    throw new Error('It was read');
  };
  /** What Java writes in front of Snappy. */
  const JAVA = Buffer.from('82534e41505059000000000100000001000000020100', 'hex');

  it.each([
    ['gzip', Buffer.from('no gzip')],
    ['gzip', Buffer.alloc(0)],
    ['snappy', JAVA],
    ['lz4', Buffer.from('no lz4')],
    ['zstd', Buffer.from('no zstd')],
  ] as const)('is known by its error: %s', (form, bytes) => {
    expect(isUnreadable(errorOf(() => compressionsAlgorithms[form].decompressSync(bytes)))).toBe(true);
  });

  it('is known by its error where it is cut, and another error is none', () => {
    expect(isUnreadable(errorOf(() => fetchV13.parseResponse(1, 1, 13, Reader.from(Buffer.alloc(3)))))).toBe(
      true,
    );
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    for (const error of [
      new NetworkError('x'),
      new TimeoutError('x'),
      refused,
      new RangeError('x'),
      'x',
      undefined,
    ])
      expect(isUnreadable(error)).toBe(false);
  });
});
