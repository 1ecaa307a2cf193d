import type { WireVariant } from '../../core/ports/connection.js';
import { jsonCodec } from '../../protocol/codecs/json.js';
import type { Envelope } from '../../protocol/envelope.js';

const COMMA = Buffer.from(',');
const ARRAY = Buffer.from('[');
const ARRAY_END = Buffer.from(']');
export const EMPTY_ARRAY: readonly Buffer[] = [Buffer.from('[]')];

/**
 * What polls are answered with: elements of a JSON array. A frame is each of them with a comma behind it, so that frames can follow
 * one another, and sessions share them; {@link arrayOf} makes the array.
 */
export const POLL_VARIANT: WireVariant = {
  codec: { ...jsonCodec, name: 'poll', subprotocol: '' },
  frame: (envelopes) => Buffer.concat(envelopes.flatMap((envelope) => [envelope, COMMA])),
  frameOne: (encoded) => {
    const frame = Buffer.from(`${encoded as string},`);
    return { frame, bytes: frame.subarray(0, -1) };
  },
};

/** The frame of a message that the transport itself sends. */
export function pollFrameOf(envelope: Envelope): Buffer {
  return Buffer.from(`${JSON.stringify(envelope)},`);
}

/** The array of these frames, of which there is at least one. Nothing is copied. */
export function arrayOf(frames: readonly Buffer[]): readonly Buffer[] {
  return [ARRAY, ...frames.slice(0, -1), (frames.at(-1) as Buffer).subarray(0, -1), ARRAY_END];
}
