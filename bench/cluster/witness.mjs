/** What every event of every server has in it once. */
const MARK = '"event":"tick"';

/** Counts the events that one subscriber receives, whatever frames and chunks they come in. */
export class Witness {
  seen = 0;
  #rest = '';
  #wanted = Infinity;
  #settle = () => undefined;

  look(length, chunk) {
    const text = this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
    const parts = text.split(MARK);
    this.seen += parts.length - 1;
    this.#rest = parts.at(-1).slice(1 - MARK.length);
    if (this.seen >= this.#wanted) this.#settle();
  }

  /** Resolves when so many events have been seen in all. */
  reached(count) {
    if (this.seen >= count) return Promise.resolve();
    this.#wanted = count;
    return new Promise((resolve) => {
      this.#settle = () => {
        this.#wanted = Infinity;
        resolve();
      };
    });
  }
}
