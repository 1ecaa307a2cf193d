import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import { MIN_ENVELOPES_PER_FRAME, type FrameLimits } from '../../protocol/limits.js';
import { bytesOf, encode, Outbox } from './outbox.js';
import type { EarlyWire } from './wire.js';

/** Between two envelopes there is one byte, or none. */
const SEPARATOR = 1;

/**
 * What servers take beside `hello`, as far as is known before the first `welcome`. One that is set to smaller frames closes,
 * and is asked again without (P3c).
 */
export const UNKNOWN_LIMITS: FrameLimits = {
  maxEnvelopesPerFrame: MIN_ENVELOPES_PER_FRAME,
  maxFrameBytes: 16 * 1_024,
  maxMessageBytes: 4 * 1_024,
};

/**
 * `hello` and what is sent behind it without waiting for `welcome`, which saves a round trip. All of it together keeps
 * to the limits of one frame: no more than that waits on the server (P3c).
 */
export class EarlyOutbox implements EarlyWire {
  private readonly outbox: Outbox;
  private envelopes = 1;
  private bytes: number;
  private full = false;

  constructor(
    private readonly codec: Codec,
    private readonly limits: FrameLimits,
    hello: Encoded,
    write: (frame: Encoded) => void,
  ) {
    this.outbox = new Outbox(codec, limits, write);
    this.bytes = bytesOf(hello);
    this.outbox.addEncoded(hello, this.bytes);
  }

  /** Whether it took any. */
  get isUsed(): boolean {
    return this.envelopes > 1;
  }

  take(envelope: Envelope): boolean {
    if (this.full) return false;
    const encoded = this.encoded(envelope);
    const bytes = encoded === undefined ? Infinity : bytesOf(encoded);
    const { maxEnvelopesPerFrame, maxFrameBytes, maxMessageBytes } = this.limits;
    if (
      encoded === undefined ||
      bytes > maxMessageBytes ||
      this.bytes + SEPARATOR + bytes > maxFrameBytes ||
      this.envelopes >= maxEnvelopesPerFrame
    ) {
      this.full = true;
      return false;
    }
    this.envelopes++;
    this.bytes += SEPARATOR + bytes;
    this.outbox.addEncoded(encoded, bytes);
    return true;
  }

  /** Whoever sends it behind `welcome` is told why it cannot be encoded. */
  private encoded(envelope: Envelope): Encoded | undefined {
    try {
      return encode(this.codec, envelope);
    } catch {
      return undefined;
    }
  }
}
