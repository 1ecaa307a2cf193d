import { describe, expect, it } from '@jest/globals';
import { isEpochAnswer } from '../../../../lib/brokers/kafka/codes.js';

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
