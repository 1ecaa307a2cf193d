import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import { MIN_ENVELOPES_PER_FRAME, type Envelope, type FrameLimits } from '../../protocol/envelope.js';
import { RealtimeError } from '../../protocol/realtime-error.js';

/** Bytes of an encoded envelope. */
export function bytesOf(encoded: Encoded): number {
  if (typeof encoded !== 'string') return encoded.byteLength;
  let bytes = encoded.length;
  for (let index = 0; index < encoded.length; index++) {
    const unit = encoded.charCodeAt(index);
    if (unit > 0x7f) bytes += 1;
    // Three bytes per unit, except a surrogate pair: four for its two units, so each half counts as two.
    if (unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff)) bytes += 1;
  }
  return bytes;
}

/**
 * Encodes one envelope.
 *
 * @throws RealtimeError `bad_request` when the payload cannot be encoded (a cycle, a BigInt).
 */
export function encode(codec: Codec, envelope: Envelope): Encoded {
  try {
    return codec.encode(envelope);
  } catch (cause) {
    throw new RealtimeError(
      'bad_request',
      `The payload cannot be encoded as ${codec.name}: ${String(cause)}. Send values that ${codec.name} has.`,
      { cause },
    );
  }
}

/** Puts the envelopes of one turn into one frame, or into as few as the server's limits allow (P4). */
export class FrameBatcher {
  private batch: Encoded[] = [];
  private batchBytes = 0;
  private scheduled = false;

  constructor(
    private readonly codec: Codec,
    private readonly limits: FrameLimits,
    private readonly write: (frame: Encoded, messages: number) => void,
  ) {}

  /**
   * Queues one envelope for the frame of this turn.
   *
   * @throws RealtimeError `message_too_large` for an envelope above the server's limits, `bad_request` for one that
   * cannot be encoded. Nothing of it is sent then.
   */
  add(envelope: Envelope): void {
    const encoded = encode(this.codec, envelope);
    const bytes = bytesOf(encoded);
    const limit = Math.min(this.limits.maxMessageBytes, this.limits.maxFrameBytes);
    if (bytes > limit) {
      throw new RealtimeError(
        'message_too_large',
        `The message has ${bytes} bytes and this server takes at most ${limit}. Send less, or in parts.`,
      );
    }
    this.addEncoded(encoded, bytes);
  }

  /** Queues an encoded envelope that is within the limits. */
  addEncoded(encoded: Encoded, bytes: number): void {
    const separator = this.codec.separator === undefined ? 0 : 1;
    const full =
      this.batch.length >= this.limits.maxEnvelopesPerFrame ||
      this.batchBytes + separator + bytes > this.limits.maxFrameBytes;
    if (full) this.flush();
    this.batchBytes += bytes + (this.batch.length > 0 ? separator : 0);
    this.batch.push(encoded);
    if (this.scheduled) return;
    this.scheduled = true;
    // A microtask, not a timer: it runs after everything that the application does in one go, adds no latency, and
    // is not throttled in background tabs.
    queueMicrotask(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** Sends what is queued now. */
  flush(): void {
    if (this.batch.length === 0) return;
    const { batch } = this;
    this.batch = [];
    this.batchBytes = 0;
    this.write(joined(batch, this.codec.separator), batch.length);
  }
}

function joined(batch: readonly Encoded[], separator: number | undefined): Encoded {
  const [first = ''] = batch;
  if (batch.length === 1) return first;
  if (typeof first === 'string')
    return batch.join(separator === undefined ? '' : String.fromCharCode(separator));
  const parts = batch.filter((part) => typeof part !== 'string');
  const gap = separator === undefined ? 0 : 1;
  const frame = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, gap * (parts.length - 1)));
  let offset = 0;
  for (const part of parts) {
    if (offset > 0 && separator !== undefined) frame[offset++] = separator;
    frame.set(part, offset);
    offset += part.byteLength;
  }
  return frame;
}

/**
 * What every server takes together with `hello`, before the first `welcome` tells its limits. A server with smaller
 * frames closes the connection; the next attempt then sends `hello` alone (P3c).
 */
export const UNKNOWN_LIMITS: FrameLimits = {
  maxEnvelopesPerFrame: MIN_ENVELOPES_PER_FRAME,
  maxFrameBytes: 16 * 1_024,
  maxMessageBytes: 4 * 1_024,
};

/** Between two envelopes there is at most one byte. */
const SEPARATOR = 1;

/**
 * `hello` and the commands that follow it without waiting for `welcome`, which saves a round trip. All of them together
 * keep to the limits of one frame, as no more than that waits on the server (P3c).
 */
export class HelloFrame {
  private readonly batcher: FrameBatcher;
  private envelopes = 1;
  private bytes: number;
  private full = false;

  constructor(
    private readonly codec: Codec,
    private readonly limits: FrameLimits,
    hello: Encoded,
    write: (frame: Encoded, messages: number) => void,
  ) {
    this.batcher = new FrameBatcher(codec, limits, write);
    this.bytes = bytesOf(hello);
    this.batcher.addEncoded(hello, this.bytes);
  }

  /** Whether a command was added. */
  get isUsed(): boolean {
    return this.envelopes > 1;
  }

  /**
   * Adds a command.
   *
   * @returns `false` when the command is too much for the frame, or cannot be encoded: sending it after `welcome` tells
   * why. From then on no other command is added, which would overtake it.
   */
  tryAdd(command: Envelope): boolean {
    if (this.full) return false;
    const { maxEnvelopesPerFrame, maxFrameBytes, maxMessageBytes } = this.limits;
    try {
      const encoded = this.codec.encode(command);
      const bytes = bytesOf(encoded);
      this.full =
        bytes > maxMessageBytes ||
        this.bytes + SEPARATOR + bytes > maxFrameBytes ||
        this.envelopes >= maxEnvelopesPerFrame;
      if (this.full) return false;
      this.envelopes++;
      this.bytes += SEPARATOR + bytes;
      this.batcher.addEncoded(encoded, bytes);
      return true;
    } catch {
      this.full = true;
      return false;
    }
  }
}
