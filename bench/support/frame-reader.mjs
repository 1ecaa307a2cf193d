/** Counts the whole messages in what a server sends on one connection, however it is cut; payloads are skipped. */
export class FrameReader {
  #header = [];
  #headerBytes = 2;
  #payload = 0;

  /** @returns how many frames ended in the first `length` bytes of `chunk`. */
  read(length, chunk) {
    let frames = 0;
    for (let at = 0; at < length;) {
      if (this.#payload > 0) {
        const skipped = Math.min(this.#payload, length - at);
        at += skipped;
        this.#payload -= skipped;
        if (this.#payload === 0) frames += 1;
        continue;
      }
      this.#header.push(chunk[at++]);
      if (this.#header.length === 2) {
        const short = this.#header[1] & 0x7f;
        this.#headerBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
      }
      if (this.#header.length < this.#headerBytes) continue;
      this.#payload = this.#payloadBytes();
      this.#header = [];
      this.#headerBytes = 2;
      if (this.#payload === 0) frames += 1;
    }
    return frames;
  }

  #payloadBytes() {
    const [, short, ...long] = this.#header;
    return long.length === 0 ? short & 0x7f : long.reduce((sum, byte) => sum * 256 + byte, 0);
  }
}
