import type { Clock } from '../../core/ports/clock.js';
import type { TransportHost } from '../../core/ports/transport-host.js';

/** A chunk of so many bytes costs nothing by itself: networks deliver what is large in pieces of about this size. */
const WHOLE_CHUNK_BYTES = 1_024;
/** RFC 6455 §5.2. */
const FIN_BIT = 0x80;
const CONTROL_BIT = 0x08;
const LENGTH_BITS = 0x7f;
const MASK_BIT = 0x80;
const MASK_BYTES = 4;

/**
 * Counts what one client sends, before anything parses it (G16). ws tells of messages, pings and pongs, but not of fragments,
 * and what it tells it has parsed already; so the headers of the frames are walked here, without an object. Chunks that a
 * client makes smaller than any network would are counted like frames, as each is an event of the socket.
 */
export class InboundMeter {
  /** What may still come before the clock is looked at; negative for a debt. */
  private credit: number;
  private paidAt: number;
  /** Bytes of the current frame, its mask included, that are still to come. */
  private left = 0;
  /** Bytes of the header that are still to come: 0 where the next one begins a frame, -1 where it holds the length. */
  private header = 0;
  private length = 0;
  private mask = 0;
  /** First byte of the current frame. */
  private first = 0;
  /** Bytes of the frames of the current message that are complete. */
  private message = 0;

  constructor(
    private readonly rate: TransportHost['frames'],
    private readonly clock: Clock,
  ) {
    this.credit = rate.burst;
    this.paidAt = clock.monotonic();
  }

  /**
   * Counts the next bytes of the stream.
   *
   * @returns 0 within the rate; otherwise milliseconds until they are paid, `Infinity` when they are more than another burst.
   */
  count(chunk: Buffer): number {
    const frames = this.walk(chunk);
    // What begins no frame, and is no whole chunk, is one event of the socket.
    const cost = frames > 0 || chunk.length >= WHOLE_CHUNK_BYTES ? frames : 1;
    this.credit -= cost;
    return this.credit >= 0 ? 0 : this.settle(cost);
  }

  /** Bytes that are here of a message that has not ended. */
  get unfinished(): number {
    const isCut = this.left > 0 && (this.first & CONTROL_BIT) === 0;
    // The mask comes before the payload.
    return this.message + (isCut ? Math.max(0, this.length - this.left) : 0);
  }

  private settle(cost: number): number {
    const { perSecond, burst } = this.rate;
    const now = this.clock.monotonic();
    const regained = ((now - this.paidAt) * perSecond) / 1_000;
    this.credit = Math.min(burst, this.credit + cost + regained) - cost;
    this.paidAt = now;
    if (this.credit >= 0) return 0;
    return -this.credit > burst ? Number.POSITIVE_INFINITY : (-this.credit * 1_000) / perSecond;
  }

  /** @returns as how many frames those count that begin in the chunk. */
  private walk(chunk: Buffer): number {
    let frames = 0;
    for (let at = 0; at < chunk.length;) {
      if (this.left > 0) {
        const step = Math.min(this.left, chunk.length - at);
        this.left -= step;
        at += step;
        if (this.left === 0) this.endFrame();
        continue;
      }
      const byte = chunk[at++] as number;
      if (this.header === 0) {
        frames += (byte & CONTROL_BIT) === 0 ? 1 : this.rate.control;
        this.first = byte;
        this.header = -1;
      } else if (this.header === -1) {
        this.readLength(byte);
      } else {
        this.length = this.length * 256 + byte;
        if (--this.header === 0) this.begin(this.length);
      }
    }
    return frames;
  }

  private readLength(byte: number): void {
    const length = byte & LENGTH_BITS;
    this.mask = (byte & MASK_BIT) === 0 ? 0 : MASK_BYTES;
    this.length = 0;
    this.header = length < 126 ? 0 : length === 126 ? 2 : 8;
    if (this.header === 0) this.begin(length);
  }

  private begin(length: number): void {
    this.length = length;
    this.left = length + this.mask;
    if (this.left === 0) this.endFrame();
  }

  private endFrame(): void {
    // A ping may come between the fragments of a message (RFC 6455 §5.4).
    if ((this.first & CONTROL_BIT) !== 0) return;
    this.message = (this.first & FIN_BIT) === 0 ? this.message + this.length : 0;
  }
}
