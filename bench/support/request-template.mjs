import { maskedFrame } from './frames.mjs';

const PLACE = 'id-000000000000';
const DIGITS = PLACE.length - 3;

/**
 * A client frame whose id changes with every use, for little: the digits are written into the masked bytes. The text
 * must contain the id given by {@link RequestTemplate.id} once.
 */
export class RequestTemplate {
  /** Stands for the id in the text. */
  static id = PLACE;
  #frame;
  #key;
  #at;
  #zero;
  #count = 0;

  constructor(text) {
    this.#frame = maskedFrame(text);
    const start = this.#frame.length - Buffer.byteLength(text);
    this.#key = this.#frame.subarray(start - 4, start);
    const offset = Buffer.from(text).indexOf(PLACE) + PLACE.length - DIGITS;
    this.#at = start + offset;
    this.#zero = offset;
  }

  /** The next frame, a copy of its own: a socket may still hold the last one. */
  next() {
    let rest = ++this.#count;
    const frame = Buffer.from(this.#frame);
    for (let digit = DIGITS - 1; rest > 0; digit--) {
      frame[this.#at + digit] = (0x30 + (rest % 10)) ^ this.#key[(this.#zero + digit) & 3];
      rest = Math.floor(rest / 10);
    }
    return frame;
  }
}
