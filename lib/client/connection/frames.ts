import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import { MIN_ENVELOPES_PER_FRAME, type Envelope, type FrameLimits } from '../../protocol/envelope.js';
import { RealtimeError } from '../../protocol/realtime-error.js';

/** Between two envelopes there is at most one byte. */
const SEPARATOR = 1;

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
      `The payload cannot be encoded as ${codec.name}: ${String(cause)}`,
      { cause },
    );
  }
}

/** The frame of this turn, which takes envelopes until the turn is over. */
export interface FrameBatcher {
  /**
   * Queues one envelope.
   *
   * @throws RealtimeError `message_too_large` for an envelope above the server's limits, `bad_request` for one that
   * cannot be encoded. Nothing of it is sent then.
   */
  add(envelope: Envelope): void;
  /** Queues an encoded envelope that is within the limits. */
  addEncoded(encoded: Encoded, bytes: number): void;
  /** Sends what is queued now. */
  flush(): void;
}

/** Puts the envelopes of one turn into one frame, or into as few as the server's limits allow (P4). */
export function batchFrames(
  codec: Codec,
  { maxEnvelopesPerFrame, maxFrameBytes, maxMessageBytes }: FrameLimits,
  write: (frame: Encoded, messages: number) => void,
): FrameBatcher {
  let batch: Encoded[] = [];
  let batchBytes = 0;

  function flush(): void {
    if (batch.length === 0) return;
    const sent = batch;
    batch = [];
    batchBytes = 0;
    write(joined(sent, codec.separator), sent.length);
  }

  function addEncoded(encoded: Encoded, bytes: number): void {
    if (batch.length >= maxEnvelopesPerFrame || batchBytes + bytes > maxFrameBytes) flush();
    batchBytes += bytes + SEPARATOR;
    // A microtask, not a timer: it runs after everything that the application does in one go, adds no latency, and is not
    // throttled in background tabs.
    if (batch.push(encoded) === 1) queueMicrotask(flush);
  }

  return {
    add(envelope) {
      const encoded = encode(codec, envelope);
      const bytes = bytesOf(encoded);
      const limit = Math.min(maxMessageBytes, maxFrameBytes);
      if (bytes > limit)
        throw new RealtimeError(
          'message_too_large',
          `The message has ${bytes} bytes, the server takes ${limit}: send less, or in parts`,
        );
      addEncoded(encoded, bytes);
    },
    addEncoded,
    flush,
  };
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

/** The frame of `hello`. */
export interface HelloFrame {
  /** Whether a command was added. */
  isUsed(): boolean;
  /**
   * Adds a command.
   *
   * @returns `false` when the command is too much for the frame, or cannot be encoded: sending it after `welcome` tells
   * why. From then on no other command is added, which would overtake it.
   */
  tryAdd(command: Envelope): boolean;
}

/**
 * `hello` and the commands that follow it without waiting for `welcome`, which saves a round trip. All of them together
 * keep to the limits of one frame, as no more than that waits on the server (P3c).
 */
export function frameOfHello(
  codec: Codec,
  limits: FrameLimits,
  hello: Encoded,
  write: (frame: Encoded, messages: number) => void,
): HelloFrame {
  const batcher = batchFrames(codec, limits, write);
  let envelopes = 0;
  let total = 0;
  let isFull = false;

  function put(encoded: Encoded, bytes: number): void {
    envelopes++;
    total += bytes + SEPARATOR;
    batcher.addEncoded(encoded, bytes);
  }

  put(hello, bytesOf(hello));
  return {
    isUsed: () => envelopes > 1,
    tryAdd(command) {
      if (isFull) return false;
      isFull = true;
      try {
        const encoded = codec.encode(command);
        const bytes = bytesOf(encoded);
        isFull =
          bytes > limits.maxMessageBytes ||
          total + bytes > limits.maxFrameBytes ||
          envelopes >= limits.maxEnvelopesPerFrame;
        if (!isFull) put(encoded, bytes);
      } catch {
        // It stays full.
      }
      return !isFull;
    },
  };
}
