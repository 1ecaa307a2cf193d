import { createHash } from 'node:crypto';
import { MAX_ID_LENGTH } from '../../protocol/envelope.js';
import type { Position } from '../../protocol/position.js';

/** Most bytes of an id, and of a URL without one: nginx refuses a request line, or a header, of 8 KiB. */
export const MAX_ID_BYTES = 4_096;
/** The id under which a stream ended for good: a reconnect with it is answered with 204, which stops a browser. */
export const STOP_ID = 'stop';

const DIGEST_CHARACTERS = 8;
const SEPARATOR = '~';

/**
 * The ids of one set of channels: where a client stands in each of them, in the order of their names, headed by a digest of these.
 * Such an id claims only what precedes it in the stream, so it may stand anywhere (P20).
 *
 * @example new ResumeIds(['a', 'b']).write(new Map([['b', { epoch: 'k3f9', seq: 17 }]])) // 'Ab12Cd34~~k3f9.17'
 */
export class ResumeIds {
  private readonly digest: string;
  private readonly channels: readonly string[];

  /** @param channels in any order, which an application may not keep from one request to the next. */
  constructor(channels: readonly string[]) {
    this.channels = [...new Set(channels)].sort();
    this.digest = createHash('sha256')
      .update(this.channels.join())
      .digest('base64url')
      .slice(0, DIGEST_CHARACTERS);
  }

  /** @param positions channels that are not in it have none: a reconnect begins anew in them. */
  write(positions: ReadonlyMap<string, Position>): string {
    return [this.digest, ...this.channels.map((channel) => place(positions.get(channel)))].join(SEPARATOR);
  }

  /** @returns `undefined` for what is no id of this list. */
  read(id: string): ReadonlyMap<string, Position> | undefined {
    const [digest, ...places] = id.split(SEPARATOR);
    if (digest !== this.digest || places.length !== this.channels.length) return undefined;
    const positions = new Map<string, Position>();
    for (const [index, text] of places.entries()) {
      if (text === '') continue;
      const position = positionOf(text);
      if (position === undefined) return undefined;
      positions.set(this.channels[index] as string, position);
    }
    return positions;
  }
}

function place(position: Position | undefined): string {
  if (position === undefined) return '';
  // An epoch is opaque: a line break in it would end the field, and `~` the place.
  const epoch = encodeURIComponent(position.epoch).replaceAll(SEPARATOR, '%7E');
  return `${epoch}.${position.seq}`;
}

function positionOf(text: string): Position | undefined {
  const dot = text.lastIndexOf('.');
  const digits = text.slice(dot + 1);
  const seq = Number(digits);
  const epoch = decoded(text.slice(0, Math.max(0, dot)));
  const isSeq = /^\d{1,16}$/.test(digits) && Number.isSafeInteger(seq);
  return isSeq && epoch.length > 0 && epoch.length <= MAX_ID_LENGTH ? { epoch, seq } : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
