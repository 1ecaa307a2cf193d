/**
 * Bytes that are made once per variant and kept. Nearly all events are sent in one variant only, so that one has a place in
 * the object itself: an array, in each event of each log, would weigh more than what most events say.
 */
export class BytesByVariant {
  private variant = -1;
  private bytes: Buffer | undefined = undefined;
  private others: Map<number, Buffer> | undefined = undefined;

  /** @param index of the variant. */
  bytesFor(index: number): Buffer | undefined {
    return index === this.variant ? this.bytes : this.others?.get(index);
  }

  /** @returns the bytes. */
  keepBytes(index: number, bytes: Buffer): Buffer {
    if (this.variant === -1 || this.variant === index) {
      this.variant = index;
      this.bytes = bytes;
    } else {
      (this.others ??= new Map<number, Buffer>()).set(index, bytes);
    }
    return bytes;
  }
}
