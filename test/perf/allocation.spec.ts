import { describe, expect, it } from '@jest/globals';
import { probe } from './probe.js';

/** Bytes of heap of one write of a shared batch, however many events are in it. */
const MAX_BYTES_PER_WRITE = 16;
/** Bytes of heap of one event, from `publish` to the shared frame: encoded, kept in the log, with its own id. */
const MAX_BYTES_PER_EVENT = 4_800;
/** Bytes of heap of an idle, subscribed session, beyond its connection. */
const MAX_BYTES_PER_SESSION = 2_200;
/** The same of an idle plain stream of one channel with its session, beyond its socket. */
const MAX_BYTES_PER_STREAM = 3_900;
/** And for each further channel. */
const MAX_BYTES_PER_STREAM_AND_CHANNEL = 550;

// One thread, and no collection while it counts: the same figure every time.
const COUNTING = [
  '--expose-gc',
  '--single-threaded',
  '--min-semi-space-size=512',
  '--max-semi-space-size=512',
];

interface Deliveries {
  readonly writes: number;
  readonly eventsPerWrite: number;
  readonly bytesPerWrite: number;
  readonly bytesPerEvent: number;
  readonly collections: number;
}

describe('allocations of a delivery', () => {
  it('a delivery allocates next to nothing where subscribers share a batch, and nothing per event in it', () => {
    const found = probe<Deliveries>('deliveries', { wasteful: false }, COUNTING);
    expect(found).toMatchObject({ writes: 200_000, eventsPerWrite: 10, collections: 0 });
    expect(found.bytesPerWrite).toBeLessThan(MAX_BYTES_PER_WRITE);
    expect(found.bytesPerEvent).toBeLessThan(MAX_BYTES_PER_EVENT);
    // A heap that does not grow was not looked at.
    expect(found.bytesPerEvent).toBeGreaterThan(100);
  });

  it('one small object per delivery is detected (control)', () => {
    const found = probe<Deliveries>('deliveries', { wasteful: true }, COUNTING);
    expect(found).toMatchObject({ writes: 200_000, collections: 0 });
    expect(found.bytesPerWrite).toBeGreaterThan(MAX_BYTES_PER_WRITE);
  });
});

describe('memory of an idle session', () => {
  it('the memory of an idle session is bounded', () => {
    const { perSession, sessions } = probe<{ perSession: number; sessions: number }>(
      'sessions',
      { hoarding: false },
      ['--expose-gc'],
    );
    expect(sessions).toBe(10_000);
    expect(perSession).toBeLessThan(MAX_BYTES_PER_SESSION);
    expect(perSession).toBeGreaterThan(500);
  });

  it('an array of 64 numbers per session is detected (control)', () => {
    const { perSession } = probe<{ perSession: number }>('sessions', { hoarding: true }, ['--expose-gc']);
    expect(perSession).toBeGreaterThan(MAX_BYTES_PER_SESSION);
  });
});

describe('memory of an idle plain stream (P20)', () => {
  const perStream = (channels: number, hoarding = false): number => {
    const found = probe<{ perStream: number; sessions: number }>('streams', { channels, hoarding }, [
      '--expose-gc',
    ]);
    expect(found.sessions).toBe(5_000);
    return found.perStream;
  };

  it('is bounded, and so is what each further channel takes', () => {
    const single = perStream(1);
    expect(single).toBeLessThan(MAX_BYTES_PER_STREAM);
    expect(single).toBeGreaterThan(1_000);
    expect((perStream(8) - single) / 7).toBeLessThan(MAX_BYTES_PER_STREAM_AND_CHANNEL);
  });

  it('an array of 64 numbers per stream is detected (control)', () => {
    expect(perStream(1, true)).toBeGreaterThan(MAX_BYTES_PER_STREAM);
  });
});
