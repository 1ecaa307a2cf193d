import { describe, expect, it } from '@jest/globals';
import { InboundMeter, type Metered } from '../../../../lib/transports/websocket/inbound-meter.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { clientFrame } from '../support/raw-client.js';

const MANY = 100;

/** One client of a meter. */
class Client {
  readonly state: Metered = { credit: 0, paidAt: 0, cut: undefined };

  constructor(private readonly meter: InboundMeter) {
    meter.begin(this.state);
  }

  count(chunk: Buffer): number {
    return this.meter.count(this.state, chunk);
  }

  isMany(chunk: Buffer): boolean {
    return this.meter.isMany(this.state, chunk);
  }

  get unfinished(): number {
    return this.meter.unfinished(this.state);
  }
}

function meterOf(perSecond: number, burst: number) {
  const clock = new ManualClock();
  const meter = new InboundMeter({ perSecond, burst, control: 1 }, clock);
  return { clock, meter: new Client(meter) };
}

/** How many frames a meter finds in these chunks, which are read without a pause. */
function framesIn(chunks: readonly Buffer[]): number {
  for (let burst = 0; burst < MANY; burst++) {
    const { meter } = meterOf(1, burst);
    if (chunks.every((chunk) => meter.count(chunk) === 0)) return burst;
  }
  throw new Error(`More than ${MANY} frames`);
}

/** Bytes that hide headers: a meter that loses its place finds frames in them. */
const payload = (length: number) => Buffer.alloc(length, 0x81);

describe('frames that a meter finds', () => {
  it.each([
    ['a frame without a payload', [clientFrame(1, Buffer.alloc(0))], 1],
    ['a frame without a mask', [clientFrame(1, payload(5), { mask: false })], 1],
    ['a length of one byte', [clientFrame(1, payload(125)), clientFrame(9, Buffer.alloc(0))], 2],
    ['a length of two bytes', [clientFrame(1, payload(126)), clientFrame(0, payload(65_535))], 2],
    ['a length of eight bytes', [clientFrame(2, payload(65_536)), clientFrame(10, payload(3))], 2],
  ])('%s', (_, frames, count) => {
    expect(framesIn([Buffer.concat(frames)])).toBe(count);
  });

  it.each([0, 1, 2, 3, 4, 125, 126, 127, 128, 255, 256, 65_535, 65_536])(
    'a chunk that is a whole message of %d bytes, or one byte more or less, of any kind',
    (length) => {
      for (const mask of [true, false])
        for (const fin of [true, false])
          for (const opcode of [0, 1, 2, 8, 9, 10]) {
            const frame = clientFrame(opcode, payload(length), { mask, fin });
            const next = clientFrame(1, Buffer.alloc(1));
            const { meter } = meterOf(1e6, 1e6);
            const whole = [frame, next];
            const cut = [
              frame.subarray(0, -1),
              Buffer.concat([frame.subarray(-1), next.subarray(0, 1)]),
              next.subarray(1),
            ];
            // Chunks that are smaller than any network would make them count too, and are the same for both.
            const isSmall = (chunk: Buffer) => chunk.length < 1_024;
            expect(framesIn(whole)).toBe(2);
            expect(framesIn(cut)).toBe(isSmall(next.subarray(1)) ? 3 : 2);
            meter.count(frame);
            const isData = opcode < 8;
            expect(meter.unfinished).toBe(isData && !fin ? length : 0);
          }
    },
  );

  it('the same frames wherever the stream is cut', () => {
    const frames = [payload(0), payload(125), payload(126), payload(1_100), payload(1)];
    // Chunks of at least 1 KiB cost nothing by themselves.
    const stream = Buffer.concat([
      clientFrame(2, payload(2_000)),
      ...frames.map((bytes) => clientFrame(2, bytes)),
      clientFrame(2, payload(66_000)),
      clientFrame(2, payload(2_000)),
    ]);
    for (let cut = 1_024; cut <= stream.length - 1_024; cut += cut > 3_600 && cut < 69_000 ? 997 : 1)
      expect([cut, framesIn([stream.subarray(0, cut), stream.subarray(cut)])]).toEqual([cut, 8]);
  });

  it('a chunk that is smaller than any network would make it counts, though no frame begins in it', () => {
    const stream = clientFrame(2, payload(1_500));
    expect(framesIn([stream.subarray(0, 100), stream.subarray(100, 1_123), stream.subarray(1_123)])).toBe(3);
    expect(framesIn([stream.subarray(0, 100), stream.subarray(100, 1_124), stream.subarray(1_124)])).toBe(2);
  });
});

describe('bytes of a message that has not ended', () => {
  const fragment = (opcode: number, length: number, options: object = {}) =>
    clientFrame(opcode, payload(length), { ...options, fin: false });

  it.each([{ mask: true }, { mask: false }])('end with an empty last frame (%o)', (options) => {
    const { meter } = meterOf(1e6, 1e6);
    meter.count(fragment(1, 50, options));
    meter.count(fragment(0, 70, options));
    expect(meter.unfinished).toBe(120);
    meter.count(clientFrame(9, Buffer.alloc(0), options));
    expect(meter.unfinished).toBe(120);
    meter.count(clientFrame(0, Buffer.alloc(0), options));
    expect(meter.unfinished).toBe(0);
  });
});

describe('the price of frames', () => {
  const frames = (count: number) =>
    Buffer.concat(Array.from({ length: count }, () => clientFrame(9, payload(0))));

  it('a burst is free, and each further frame waits for its time', () => {
    const { meter } = meterOf(10, 5);
    expect(meter.count(frames(5))).toBe(0);
    expect(meter.count(frames(1))).toBe(100);
    expect(meter.count(frames(2))).toBe(300);
  });

  it('time pays, and never for more than a burst', () => {
    const { meter, clock } = meterOf(10, 5);
    expect(meter.count(frames(7))).toBe(200);
    clock.advance(300);
    expect(meter.count(frames(1))).toBe(0);
    clock.advance(3_600_000);
    expect(meter.count(frames(5))).toBe(0);
    expect(meter.count(frames(1))).toBe(100);
  });

  it('what is more than another burst cannot be waited for', () => {
    expect(meterOf(10, 5).meter.count(frames(10))).toBe(500);
    expect(meterOf(10, 5).meter.count(frames(11))).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('bytes of a message that has not ended', () => {
  const { meter } = meterOf(1e6, 1e6);
  const partOf = (opcode: number, length: number, fin = true) =>
    clientFrame(opcode, payload(length), { fin });
  /** What is unfinished after each chunk. */
  const after = (...chunks: Buffer[]) =>
    chunks.map((chunk) => {
      meter.count(chunk);
      return meter.unfinished;
    });

  it('none behind a whole message, of any length and any cut', () => {
    const message = partOf(1, 66_000);
    expect(after(partOf(1, 0), partOf(2, 5), message)).toEqual([0, 0, 0]);
    for (const cut of [1, 2, 9, 10, 13, 14])
      expect(after(message.subarray(0, cut), message.subarray(cut))).toEqual([0, 0]);
  });

  it('those of a frame that is cut', () => {
    const message = partOf(2, 1_000);
    expect(after(message.subarray(0, 108), message.subarray(108, 208), message.subarray(208))).toEqual([
      100, 200, 0,
    ]);
  });

  it('those of all fragments, until the last one ends, and again for the next message', () => {
    for (let round = 0; round < 2; round++)
      expect(after(partOf(1, 100, false), partOf(0, 300, false), partOf(0, 0, false), partOf(0, 7))).toEqual([
        100, 400, 400, 0,
      ]);
  });

  it('a control frame between fragments neither ends nor counts', () => {
    const ping = partOf(9, 50);
    expect(after(partOf(1, 100, false), ping, ping.subarray(0, 20), ping.subarray(20), partOf(0, 1))).toEqual(
      [100, 100, 100, 100, 0],
    );
  });
});

describe('chunks that hold more than one frame', () => {
  const next = clientFrame(1, payload(3));

  it.each([126, 2_000, 65_535, 65_536, 100_000])(
    'a frame of %d bytes, cut and with more behind it',
    (length) => {
      for (const mask of [true, false])
        for (const fin of [true, false]) {
          const { meter } = meterOf(1, MANY);
          const frame = clientFrame(1, payload(length), { mask, fin });
          expect(meter.isMany(frame)).toBe(false);
          expect(meter.isMany(frame.subarray(0, length - 1))).toBe(false);
          expect(meter.isMany(Buffer.concat([frame, next.subarray(0, 1)]))).toBe(true);
          for (const cut of [20, length - 1]) {
            meter.count(frame.subarray(0, cut));
            expect(meter.isMany(frame.subarray(cut, -1))).toBe(false);
            expect(meter.isMany(frame.subarray(cut))).toBe(false);
            expect(meter.isMany(Buffer.concat([frame.subarray(cut), next]))).toBe(true);
            meter.count(frame.subarray(cut));
          }
          const more = clientFrame(0, payload(length), { mask, fin });
          expect(meter.isMany(more)).toBe(false);
          expect(meter.isMany(Buffer.concat([more, next]))).toBe(true);
        }
    },
  );

  it('small frames, also in the long forms of a length', () => {
    const { meter } = meterOf(1, MANY);
    const long = Buffer.concat([Buffer.from([0x82, 0x7f]), Buffer.alloc(7), Buffer.from([5]), payload(5)]);
    expect(meter.isMany(long)).toBe(false);
    expect(meter.isMany(Buffer.concat([long, long]))).toBe(true);
    expect(meter.isMany(Buffer.concat([next, next]))).toBe(true);
  });

  it('a chunk that continues within a header may be anything', () => {
    const { meter } = meterOf(1, MANY);
    const frame = clientFrame(1, payload(2_000));
    for (const cut of [1, 2, 3]) {
      meter.count(frame.subarray(0, cut));
      expect(meter.isMany(frame.subarray(cut))).toBe(true);
      meter.count(frame.subarray(cut));
    }
  });
});
