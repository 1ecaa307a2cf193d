const CR = 13;
const STAR = 42;
const PUSH = 62;

/** Cuts a stream of RESP (2 or 3) into whole frames. */
export class RespFrames {
  private rest: Buffer = Buffer.alloc(0);

  /** @returns the frames that are complete now; what is left waits for more. */
  take(chunk: Buffer): Buffer[] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const frames: Buffer[] = [];
    let start = 0;
    for (let end = frameEnd(this.rest, 0); end !== -1; end = frameEnd(this.rest, start)) {
      frames.push(this.rest.subarray(start, end));
      start = end;
    }
    this.rest = this.rest.subarray(start);
    return frames;
  }
}

/** The strings of an array or a push; `undefined` for anything else. */
export function stringsOf(frame: Buffer): readonly string[] | undefined {
  if (frame[0] !== STAR && frame[0] !== PUSH) return undefined;
  const first = lineEnd(frame, 0);
  const strings: string[] = [];
  for (let at = first + 2; at < frame.length;) {
    if (frame[at] !== 36) return undefined;
    const line = lineEnd(frame, at);
    const length = Number(frame.toString('latin1', at + 1, line));
    strings.push(frame.toString('utf8', line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
  return strings;
}

/** Where the frame that begins at `at` ends; -1 while it is not complete. */
function frameEnd(buffer: Buffer, at: number): number {
  const line = lineEnd(buffer, at);
  if (line === -1) return -1;
  const kind = String.fromCharCode(buffer[at] ?? 0);
  const after = line + 2;
  const size = Number(buffer.toString('latin1', at + 1, line));
  if ('$=!'.includes(kind)) {
    const end = size < 0 ? after : after + size + 2;
    return end <= buffer.length ? end : -1;
  }
  const parts = '*~>'.includes(kind) ? size : kind === '%' ? 2 * size : kind === '|' ? 2 * size + 1 : 0;
  let end = after;
  for (let part = 0; part < parts; part++) {
    end = frameEnd(buffer, end);
    if (end === -1) return -1;
  }
  return end;
}

function lineEnd(buffer: Buffer, at: number): number {
  return at >= buffer.length ? -1 : buffer.indexOf('\r\n', at) === -1 ? -1 : buffer.indexOf(CR, at);
}
