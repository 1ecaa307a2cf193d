import { describe, expect, it } from '@jest/globals';
import { ReadHistory, type RecordMark } from '../../../../lib/brokers/nats/read-history.js';

describe('what a reader of JetStream remembers', () => {
  it('agrees with a stream that has its newest record, by one question', async () => {
    const { history, questions } = read(1, 100);
    expect(await history.findCut(1, questions(new Set()))).toBeUndefined();
    expect(questions.asked).toEqual([100]);
  });

  it.each([1, 2, 50, 99, 100])('finds the first record that differs: %s of 100', async (cut) => {
    const { history, questions } = read(1, 100);
    const lost = new Set(Array.from({ length: 101 - cut }, (_, index) => cut + index));
    expect(await history.findCut(1, questions(lost))).toBe(cut === 1 ? 1 : cut);
    expect(questions.asked.length).toBeLessThanOrEqual(9);
  });

  it('says the beginning of the stream when nothing that it knows is there', async () => {
    const { history, questions } = read(500, 600);
    expect(await history.findCut(7, questions(new Set(range(500, 600))))).toBe(7);
  });

  it('asks for nothing that the retention has dropped', async () => {
    const { history, questions } = read(1, 10);
    expect(await history.findCut(11, questions(new Set(range(1, 10))))).toBeUndefined();
    expect(questions.asked).toEqual([]);
    expect(await history.findCut(6, questions(new Set(range(1, 10))))).toBe(6);
    expect(Math.min(...questions.asked)).toBeGreaterThanOrEqual(6);
  });

  it('is nothing before the first record', async () => {
    const { questions } = read(1, 1);
    expect(await new ReadHistory().findCut(1, questions(new Set([1])))).toBeUndefined();
  });

  it('is bounded, and keeps the newest', async () => {
    const { history, questions } = read(1, 10_000);
    expect(await history.findCut(1, questions(new Set(range(9_700, 10_000))))).toBe(9_700);
    expect(await history.findCut(1, questions(new Set(range(2, 10_000))))).toBe(1);
    expect(Math.min(...questions.asked)).toBeGreaterThan(8_000);
  });

  it('compares time and size of a record', async () => {
    const { history } = read(1, 3);
    const seen: RecordMark[] = [];
    await history.findCut(1, async (mark) => seen.push(mark) > 0);
    expect(seen).toEqual([{ offset: 3, timeMs: 3_000, size: 3 }]);
  });
});

interface Questions {
  (lost: ReadonlySet<number>): (mark: RecordMark) => Promise<boolean>;
  asked: number[];
}

function read(from: number, to: number): { history: ReadHistory; questions: Questions } {
  const history = new ReadHistory();
  for (const offset of range(from, to))
    history.add({ offset, timeMs: offset * 1_000, term: 0, bytes: new Uint8Array(offset % 7) });
  const questions: Questions = (lost) => async (mark) => {
    questions.asked.push(mark.offset);
    return !lost.has(mark.offset);
  };
  questions.asked = [];
  return { history, questions };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
