/**
 * Bytes that are made once per variant and kept; the variant's object itself is the key, as engines that share a log have
 * variants of their own. Nearly all events are sent in one variant, which has its place in this object: a map in each event
 * of each log would weigh more than most events.
 */
export class BytesByVariant {
  private variant: object | undefined = undefined;
  private bytes: Buffer | undefined = undefined;
  private others: Map<object, Buffer> | undefined = undefined;

  bytesFor(variant: object): Buffer | undefined {
    return variant === this.variant ? this.bytes : this.others?.get(variant);
  }

  /** @returns the bytes. */
  keepBytes(variant: object, bytes: Buffer): Buffer {
    if (this.variant === undefined || this.variant === variant) {
      this.variant = variant;
      this.bytes = bytes;
    } else {
      (this.others ??= new Map<object, Buffer>()).set(variant, bytes);
    }
    return bytes;
  }
}
