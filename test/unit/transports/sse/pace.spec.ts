import { describe, expect, it } from '@jest/globals';
import { Beats, IdPace, type Beating, type Paced } from '../../../../lib/transports/sse/pace.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const INTERVAL_MS = 8_000;

class Stream implements Beating {
  sentAt: number;
  beaten = 0;

  constructor(
    private readonly beats: Beats,
    private readonly onBeat: () => void = () => undefined,
  ) {
    this.sentAt = beats.stamp;
    beats.add(this);
  }

  beat(): void {
    this.beaten++;
    this.sentAt = this.beats.stamp;
    this.onBeat();
  }
}

describe('signs of life of plain streams (P20)', () => {
  it('come once in each interval of silence, and not while something is written', () => {
    const clock = new ManualClock();
    const beats = new Beats(clock, INTERVAL_MS);
    const silent = new Stream(beats);
    const busy = new Stream(beats);
    for (let second = 0; second < 32; second++) {
      clock.advance(1_000);
      busy.sentAt = beats.stamp;
    }
    expect(silent.beaten).toBe(4);
    expect(busy.beaten).toBe(0);
  });

  it('of many are written in slices, each stream once', () => {
    const clock = new ManualClock();
    const beats = new Beats(clock, INTERVAL_MS);
    // Each takes a millisecond.
    const streams = Array.from({ length: 100 }, () => new Stream(beats, () => clock.sleep(1)));
    const beaten = (): number => streams.reduce((sum, stream) => sum + stream.beaten, 0);
    clock.advance((INTERVAL_MS * 7) / 8);
    const first = beaten();
    expect(first).toBeLessThanOrEqual(6);
    clock.advance(900);
    expect(streams.map((stream) => stream.beaten)).toEqual(streams.map(() => 1));
  });

  it('need no timer while there is no stream, and begin again with the next one', () => {
    const clock = new ManualClock();
    const beats = new Beats(clock, INTERVAL_MS);
    const [first, second] = [new Stream(beats), new Stream(beats)];
    beats.remove(first);
    expect(clock.pending).toBe(1);
    beats.remove(second);
    expect(clock.pending).toBe(0);
    const third = new Stream(beats);
    clock.advance(INTERVAL_MS);
    expect([first.beaten, third.beaten, clock.pending]).toEqual([0, 1, 1]);
  });

  it('are not given to a stream that has left, nor to one that wrote before its turn', () => {
    const clock = new ManualClock();
    const beats = new Beats(clock, INTERVAL_MS);
    const streams: Stream[] = [];
    const first = new Stream(beats, () => {
      beats.remove(streams[1] as Stream);
      (streams[2] as Stream).sentAt = beats.stamp;
    });
    streams.push(first, new Stream(beats), new Stream(beats));
    clock.advance(INTERVAL_MS);
    expect(streams.map((stream) => stream.beaten)).toEqual([1, 0, 0]);
  });
});

describe('the ids of plain streams (P20d)', () => {
  const AFTER_MS = 250;

  /** Streams of one pace, each of which takes as long to write its id. */
  function paced(count: number, eachMs = 0) {
    const clock = new ManualClock();
    const pace = new IdPace(clock, AFTER_MS);
    const written: number[] = [];
    const streams = Array.from({ length: count }, (_, index): Paced => ({
      writeId() {
        written.push(index);
        clock.sleep(eachMs);
      },
    }));
    return { clock, pace, streams, written };
  }

  it('are written once for each time that a stream asked, in that order, with one timer', () => {
    const { clock, pace, streams, written } = paced(3);
    for (const stream of streams) {
      pace.add(stream);
      clock.advance(100);
    }
    expect([written, clock.pending]).toEqual([[0], 1]);
    pace.add(streams[0] as Paced);
    clock.advance(49);
    expect(written).toEqual([0]);
    clock.advance(1);
    expect(written).toEqual([0, 1]);
    clock.advance(100);
    expect(written).toEqual([0, 1, 2]);
    clock.advance(AFTER_MS);
    expect(written).toEqual([0, 1, 2, 0]);
    expect(clock.pending).toBe(0);
  });

  it('wait a whole time from when the stream asked, also of one that asks while others are written', () => {
    const { clock, pace, streams, written } = paced(2);
    const [first, second] = streams as [Paced, Paced];
    const again = { writeId: () => (written.push(9), pace.add(second)) };
    pace.add(again);
    pace.add(first);
    clock.advance(AFTER_MS);
    expect(written).toEqual([9, 0]);
    clock.advance(AFTER_MS - 1);
    expect(written).toEqual([9, 0]);
    clock.advance(1);
    expect(written).toEqual([9, 0, 1]);
  });

  it('of many are written in slices, and others are served for as long as each took', () => {
    const { clock, pace, streams, written } = paced(100, 1);
    const began = clock.monotonic() + AFTER_MS;
    for (const stream of streams) pace.add(stream);
    clock.advance(AFTER_MS);
    const slice = written.length;
    expect(slice).toBeGreaterThanOrEqual(5);
    expect(slice).toBeLessThanOrEqual(7);
    expect(clock.monotonic() + (clock.untilNext ?? 0) - began).toBe(slice * 2);
    clock.advance(clock.untilNext ?? 0);
    expect(written.length).toBeGreaterThan(slice);
    expect(written.length).toBeLessThanOrEqual(slice * 2);
    clock.advance(1_000);
    expect(written).toEqual(streams.map((_, index) => index));
    expect(clock.pending).toBe(0);
  });

  it('keep nothing of streams that were served, while some always wait', () => {
    const { clock, pace } = paced(0);
    const due = (): number => (pace as unknown as { due: unknown[] }).due.length;
    for (let round = 0; round < 1_000; round++) {
      pace.add({ writeId: () => undefined });
      clock.advance(10);
    }
    // 25 wait at any time.
    expect(due()).toBeLessThanOrEqual(51);
  });
});
