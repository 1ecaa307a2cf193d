import { isUtf8 } from 'node:buffer';

const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const COMMA = 0x2c;
const ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const ARRAY_END = 0x5d;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;

/**
 * The frame (P4) of a body, which is a JSON array of envelopes, or one envelope: each on a line of its own. One pass over the bytes,
 * which are written to; each line is the engine's to parse.
 *
 * @returns `undefined` where the body is neither.
 */
export function frameOfBody(body: Buffer): string | undefined {
  if (!isUtf8(body)) return undefined;
  const start = skipSpace(body, 0);
  if (body[start] === OBJECT) oneLine(body);
  else if (body[start] !== ARRAY || !lines(body, start)) return undefined;
  return body.toString();
}

function oneLine(body: Buffer): void {
  for (let at = 0; at < body.length; at++) if (body[at] === LINE_FEED) body[at] = SPACE;
}

/** @returns whether it is an array: of what, is looked at line by line. */
function lines(body: Buffer, start: number): boolean {
  body[start] = SPACE;
  let depth = 0;
  let isEmpty = true;
  let hasElements = false;
  for (let at = start + 1; at < body.length; at++) {
    switch (body[at]) {
      case LINE_FEED:
        body[at] = SPACE;
        continue;
      case SPACE:
      case TAB:
      case RETURN:
        continue;
      case QUOTE:
        at = endOfString(body, at);
        break;
      case ARRAY:
      case OBJECT:
        depth++;
        break;
      case ARRAY_END:
      case OBJECT_END:
        if (depth > 0) {
          depth--;
          break;
        }
        if (body[at] === OBJECT_END || (isEmpty && hasElements)) return false;
        body[at] = SPACE;
        return skipSpace(body, at) === body.length;
      case COMMA:
        if (depth > 0) continue;
        if (isEmpty) return false;
        body[at] = LINE_FEED;
        isEmpty = true;
        hasElements = true;
        continue;
    }
    isEmpty = false;
  }
  return false;
}

function endOfString(body: Buffer, start: number): number {
  let at = start + 1;
  while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1;
  return at;
}

function skipSpace(body: Buffer, start: number): number {
  let at = start;
  for (; at < body.length; at++) {
    const byte = body[at];
    if (byte !== SPACE && byte !== TAB && byte !== RETURN && byte !== LINE_FEED) return at;
  }
  return at;
}
