import { decode, encode } from '@msgpack/msgpack';
import type { Envelope } from '../envelope.js';
import { MAX_DEPTH, type FrameLimits } from '../limits.js';
import { FrameError, type Codec, type Encoded } from './codec.js';
import { endOfValue } from './msgpack.scanner.js';

// Deeper than what is accepted, since an envelope and a handler may wrap what came.
const OPTIONS = { ignoreUndefined: true, maxDepth: 4 * MAX_DEPTH };

/** MessagePack values that follow one another in binary frames (P1, P4). */
export const msgpackCodec: Codec = {
  name: 'msgpack',
  subprotocol: 'realtime.v1.msgpack',
  binary: true,
  separator: undefined,

  encode(envelope: Envelope): Uint8Array {
    try {
      return encode(envelope, OPTIONS);
    } catch {
      // What JSON leaves out or writes in its own way (functions, `toJSON`), a subscriber of this codec gets as JSON has it.
      return encode(JSON.parse(JSON.stringify(envelope)), OPTIONS);
    }
  },

  decode(frame: Encoded, limits?: FrameLimits): unknown[] {
    if (typeof frame === 'string')
      throw new FrameError('protocol_error', 'MessagePack travels in binary frames');
    const values: unknown[] = [];
    let start = 0;
    while (start < frame.byteLength) {
      if (limits !== undefined && values.length >= limits.maxEnvelopesPerFrame) {
        throw new FrameError(
          'protocol_error',
          `More than ${limits.maxEnvelopesPerFrame} envelopes in a frame`,
        );
      }
      const end = endOfValue(frame, start);
      if (limits !== undefined && end - start > limits.maxMessageBytes) {
        throw new FrameError('message_too_large', `A message of more than ${limits.maxMessageBytes} bytes`);
      }
      values.push(decodeValue(frame.subarray(start, end)));
      start = end;
    }
    return values;
  },
};

function decodeValue(bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch {
    // The decoder refuses what the scanner cannot see: a `__proto__` key, a key that is no string, broken UTF-8.
    throw new FrameError('protocol_error', 'A frame that is not MessagePack');
  }
}
