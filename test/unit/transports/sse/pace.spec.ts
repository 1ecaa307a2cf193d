import { describe, expect, it } from '@jest/globals';
import { Beats, type Beating } from '../../../../lib/transports/sse/pace.js';
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
