import { MAX_DEPTH, type Envelope, type FrameLimits } from '../envelope.js';
import { FrameError, type Codec, type Encoded } from './codec.js';

const TAB = 0x09;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/**
 * JSON envelopes separated by `\n` in text frames: the default codec (P1, P4).
 *
 * @example RealtimeModule.forRoot({ auth, codecs: [jsonCodec] }) // no MessagePack
 */
export const jsonCodec: Codec = {
  name: 'json',
  subprotocol: 'realtime.v1.json',
  binary: false,
  separator: NEWLINE,

  encode(envelope: Envelope): string {
    return JSON.stringify(envelope);
  },

  decode(frame: Encoded, limits?: FrameLimits): unknown[] {
    if (typeof frame !== 'string') throw new FrameError('protocol_error', 'JSON travels in text frames');
    if (!frame.includes('\n')) return isBlank(frame, 0, frame.length) ? [] : [parseLine(frame, limits)];
    const values: unknown[] = [];
    let start = 0;
    let count = 0;
    while (start <= frame.length) {
      let end = frame.indexOf('\n', start);
      if (end === -1) end = frame.length;
      if (!isBlank(frame, start, end)) {
        // Counted before the line is parsed. Empty lines are ignored, yet each unit of them is looked at once, so
        // a frame of nothing but white space is bounded by its own size.
        if (limits !== undefined && ++count > limits.maxEnvelopesPerFrame) {
          throw new FrameError(
            'protocol_error',
            `More than ${limits.maxEnvelopesPerFrame} envelopes in a frame`,
          );
        }
        values.push(parseLine(frame.slice(start, end), limits));
      }
      start = end + 1;
    }
    return values;
  },
};

/** Whether there is nothing but JSON's white space: a line that ends with CRLF leaves its `\r` behind. */
function isBlank(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const unit = text.charCodeAt(index);
    if (unit !== SPACE && unit !== CARRIAGE_RETURN && unit !== TAB) return false;
  }
  return true;
}

function parseLine(line: string, limits: FrameLimits | undefined): unknown {
  if (limits !== undefined && exceedsBytes(line, limits.maxMessageBytes)) {
    throw new FrameError('message_too_large', `A message of more than ${limits.maxMessageBytes} bytes`);
  }
  // A nesting of MAX_DEPTH needs at least as many brackets, so short lines need no scan. What a server sends may be deeper
  // than what it takes: an answer wraps what another client sent.
  if (limits !== undefined && line.length > MAX_DEPTH && isTooDeep(line)) {
    throw new FrameError('protocol_error', `A message nested deeper than ${MAX_DEPTH}`);
  }
  try {
    return JSON.parse(line) as unknown;
  } catch {
    throw new FrameError('protocol_error', 'A frame that is not JSON');
  }
}

function exceedsBytes(line: string, limit: number): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8 and at least one: most lines are decided without encoding.
  if (line.length > limit) return true;
  if (line.length * 3 <= limit) return false;
  return new TextEncoder().encode(line).byteLength > limit;
}

function isTooDeep(line: string): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < line.length; index++) {
    const unit = line.charCodeAt(index);
    if (inString) {
      if (unit === 0x5c) index++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) {
      inString = true;
    } else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === 0x5d || unit === 0x7d) {
      depth--;
    }
  }
  return false;
}
