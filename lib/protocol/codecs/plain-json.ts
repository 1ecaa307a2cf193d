import { mayHoldBytes, readBytes } from '../bytes.js';
import type { Envelope } from '../envelope.js';
import type { Codec, Encoded } from './codec.js';

/** Anything but JSON's white space, of which a line that ends with CRLF has the `\r`. */
const CONTENT = /[^ \t\r]/;

/** Whether the line holds anything but white space. */
export function hasContent(line: string): boolean {
  return CONTENT.test(line);
}

/** @throws SyntaxError for a line that is not JSON. */
export function parseLine(line: string): unknown {
  const value: unknown = JSON.parse(line);
  return mayHoldBytes(line) ? readBytes(value) : value;
}

/** The JSON codec for frames of a server, which keeps to no limits of a client: a page need not carry what enforces them. */
export const plainJsonCodec: Codec = {
  name: 'json',
  subprotocol: 'realtime.v1.json',
  binary: false,
  separator: 0x0a,

  encode(envelope: Envelope): string {
    return JSON.stringify(envelope);
  },

  decode(frame: Encoded): unknown[] {
    if (typeof frame !== 'string') throw new TypeError('A binary frame where JSON is spoken');
    // Most frames hold one envelope, and need no further lists.
    if (!frame.includes('\n')) return hasContent(frame) ? [parseLine(frame)] : [];
    return frame.split('\n').filter(hasContent).map(parseLine);
  },
};
