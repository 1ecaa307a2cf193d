import type { Clock } from '../../core/ports/clock.js';
import type { TransportHost } from '../../core/ports/transport-host.js';
import { FrameRate, type Rated } from '../http/frame-rate.js';

/** A chunk of so many bytes costs nothing by itself: networks deliver what is large in pieces of about this size. */
const WHOLE_CHUNK_BYTES = 1_024;
/** RFC 6455 §5.2. */
const FIN_BIT = 0x80;
const CONTROL_BIT = 0x08;
const LENGTH_BITS = 0x7f;
const MASK_BIT = 0x80;
const MASK_BYTES = 4;

/** Whether a chunk is one data frame, and that a whole message. */
function isOneMessage(chunk: Buffer): boolean {
  if (chunk.length < 4 || ((chunk[0] as number) & (FIN_BIT | CONTROL_BIT)) !== FIN_BIT) return false;
  return endOfFrame(chunk) === chunk.length;
}

/** Where the frame ends that a chunk begins with, in bytes from its start. Of a chunk that ends within the length: beyond its end. */
function endOfFrame(chunk: Buffer): number {
  const byte = chunk[1] as number;
  const mask = (byte & MASK_BIT) === 0 ? 0 : MASK_BYTES;
  const length = byte & LENGTH_BITS;
  if (length < 126) return 2 + mask + length;
  if (length === 126) return 4 + mask + (chunk[2] as number) * 256 + (chunk[3] as number);
  return chunk.length < 10 ? Number.POSITIVE_INFINITY : 10 + mask + Number(chunk.readBigUInt64BE(2));
}

/** The place in a stream that was cut within a message. */
interface Cut {
  readonly left: number;
  readonly header: number;
  readonly length: number;
  readonly mask: number;
  readonly first: number;
  readonly message: number;
}

/** What a meter keeps for one client; only the meter changes it. Nothing else is kept between messages. */
export interface Metered extends Rated {
  cut: Cut | undefined;
}

/**
 * Counts what clients send, before anything parses it (G16). ws tells of messages, pings and pongs, but not of fragments,
 * and what it tells it has parsed already; so the headers of the frames are walked here, without an object. Chunks that a
 * client makes smaller than any network would are counted like frames, as each is an event of the socket. One for all clients:
 * an idle one costs three numbers.
 */
export class InboundMeter {
  // The place in the stream of the client whose chunk is walked.
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

  private readonly rate: FrameRate;

  constructor(
    private readonly frames: TransportHost['frames'],
    clock: Clock,
  ) {
    this.rate = new FrameRate(frames, clock);
  }

  /** Begins to count what a client sends. */
  begin(client: Metered): void {
    this.rate.begin(client);
  }

  /** Whether there is more in the next bytes of the stream than one frame, or part of one. */
  isMany({ cut }: Metered, chunk: Buffer): boolean {
    // What ends within a header is rare, and may be anything.
    if (cut !== undefined && cut.header !== 0) return true;
    const end = cut === undefined || cut.left === 0 ? endOfFrame(chunk) : cut.left;
    return end < chunk.length;
  }

  /**
   * Counts the next bytes of the stream.
   *
   * @returns 0 within the rate; otherwise milliseconds until they are paid, `Infinity` when they are more than another burst.
   */
  count(client: Metered, chunk: Buffer): number {
    // Nearly every chunk is one message, which leaves nothing to remember.
    const frames = client.cut === undefined && isOneMessage(chunk) ? 1 : this.walk(client, chunk);
    // What begins no frame, and is no whole chunk, is one event of the socket.
    return this.rate.take(client, frames > 0 || chunk.length >= WHOLE_CHUNK_BYTES ? frames : 1);
  }

  /** Bytes that are here of a message of the client that has not ended. */
  unfinished({ cut }: Metered): number {
    if (cut === undefined) return 0;
    const isCut = cut.left > 0 && (cut.first & CONTROL_BIT) === 0;
    // The mask comes before the payload.
    return cut.message + (isCut ? Math.max(0, cut.length - cut.left) : 0);
  }

  /** @returns as how many frames those count that begin in the chunk. */
  private walk(client: Metered, chunk: Buffer): number {
    this.continueAt(client.cut);
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
        frames += (byte & CONTROL_BIT) === 0 ? 1 : this.frames.control;
        this.first = byte;
        this.header = -1;
      } else if (this.header === -1) {
        this.readLength(byte);
      } else {
        this.length = this.length * 256 + byte;
        if (--this.header === 0) this.beginFrame(this.length);
      }
    }
    client.cut = this.place();
    return frames;
  }

  private continueAt(cut: Cut | undefined): void {
    this.left = cut?.left ?? 0;
    this.header = cut?.header ?? 0;
    this.length = cut?.length ?? 0;
    this.mask = cut?.mask ?? 0;
    this.first = cut?.first ?? 0;
    this.message = cut?.message ?? 0;
  }

  /** @returns `undefined` between messages. */
  private place(): Cut | undefined {
    const { left, header, length, mask, first, message } = this;
    if (left === 0 && header === 0 && message === 0) return undefined;
    return { left, header, length, mask, first, message };
  }

  private readLength(byte: number): void {
    const length = byte & LENGTH_BITS;
    this.mask = (byte & MASK_BIT) === 0 ? 0 : MASK_BYTES;
    this.length = 0;
    this.header = length < 126 ? 0 : length === 126 ? 2 : 8;
    if (this.header === 0) this.beginFrame(length);
  }

  private beginFrame(length: number): void {
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
