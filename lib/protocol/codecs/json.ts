import { MAX_DEPTH, type FrameLimits } from '../envelope.js';
import { FrameError, tooManyBytes, tooManyEnvelopes, type Codec, type Encoded } from './codec.js';
import { hasContent, parseLine, plainJsonCodec } from './plain-json.js';

/**
 * JSON envelopes separated by `\n` in text frames: the default codec (P1, P4).
 *
 * @example RealtimeModule.forRoot({ auth, codecs: [jsonCodec] }) // no MessagePack
 */
export const jsonCodec: Codec = {
  ...plainJsonCodec,

  decode(frame: Encoded, limits?: FrameLimits): unknown[] {
    if (typeof frame !== 'string')
      throw new FrameError('A binary frame where JSON is spoken: send JSON in text frames');
    if (!frame.includes('\n')) return hasContent(frame) ? [readLine(frame, limits)] : [];
    const values: unknown[] = [];
    let start = 0;
    while (start <= frame.length) {
      let end = frame.indexOf('\n', start);
      if (end === -1) end = frame.length;
      if (end === start) {
        start++;
        continue;
      }
      const line = frame.slice(start, end);
      // Each unit of an empty line is looked at once, so the size of a frame of nothing but white space bounds its cost.
      if (hasContent(line)) {
        // Counted before the line is parsed.
        if (limits !== undefined && values.length >= limits.maxEnvelopesPerFrame)
          throw tooManyEnvelopes(limits);
        values.push(readLine(line, limits));
      }
      start = end + 1;
    }
    return values;
  },
};

function readLine(line: string, limits: FrameLimits | undefined): unknown {
  if (limits !== undefined && exceedsBytes(line, limits.maxMessageBytes)) throw tooManyBytes(limits);
  // A nesting of MAX_DEPTH needs at least as many brackets, so most lines need no scan. A server may send a deeper one
  // than it takes: an answer wraps what another client sent.
  if (limits !== undefined && countOf('{', line) + countOf('[', line) > MAX_DEPTH && isTooDeep(line)) {
    throw new FrameError(`An envelope nests more than ${MAX_DEPTH} arrays and objects`);
  }
  try {
    return parseLine(line);
  } catch {
    throw new FrameError('A line of the frame is not JSON');
  }
}

function exceedsBytes(line: string, limit: number): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8 and at least one: most lines are decided without encoding.
  if (line.length > limit) return true;
  if (line.length * 3 <= limit) return false;
  return new TextEncoder().encode(line).byteLength > limit;
}

/** How often the text has the character, as far as it matters. */
function countOf(character: string, line: string): number {
  let count = 0;
  for (let at = -1; count <= MAX_DEPTH && (at = line.indexOf(character, at + 1)) !== -1;) count++;
  return count;
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
