import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { FrameLimits } from '../../protocol/limits.js';
import { RealtimeError } from '../../protocol/realtime-error.js';

/** Bytes of an encoded envelope. */
export function bytesOf(encoded: Encoded): number {
  if (typeof encoded !== 'string') return encoded.byteLength;
  let bytes = encoded.length;
  for (let index = 0; index < encoded.length; index++) {
    const unit = encoded.charCodeAt(index);
    if (unit > 0x7f) bytes += 1;
    // Three bytes per unit, save a surrogate pair: four for its two units, so each half counts as two.
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
      `The payload cannot be encoded as ${codec.name}: ${String(cause)}`,
      { cause },
    );
  }
}

/** Batches what is sent in one turn into one frame, or into as few as the server's limits allow (P4). */
export class Outbox {
  private batch: Encoded[] = [];
  private batchBytes = 0;
  private scheduled = false;

  constructor(
    private readonly codec: Codec,
    private readonly limits: FrameLimits,
    private readonly write: (frame: Encoded) => void,
  ) {}

  /**
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
        `A message of ${bytes} bytes; this server takes at most ${limit}.`,
      );
    }
    this.addEncoded(encoded, bytes);
  }

  /** Queues what was encoded and found small enough. */
  addEncoded(encoded: Encoded, bytes: number): void {
    const separator = this.codec.separator === undefined ? 0 : 1;
    const full =
      this.batch.length >= this.limits.maxEnvelopesPerFrame ||
      this.batchBytes + separator + bytes > this.limits.maxFrameBytes;
    if (this.batch.length > 0 && full) this.flush();
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
    const frame = joined(this.batch, this.codec.separator);
    this.batch = [];
    this.batchBytes = 0;
    this.write(frame);
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
