/** What tells variants apart: the object itself. Engines that share a log have variants of their own. */
type VariantKey = object;

/**
 * Bytes that are made once per variant and kept. Nearly all events are sent in one variant only, so that one has a place in
 * the object itself: a map, in each event of each log, would weigh more than what most events say.
 */
export class BytesByVariant {
  private variant: VariantKey | undefined = undefined;
  private bytes: Buffer | undefined = undefined;
  private others: Map<VariantKey, Buffer> | undefined = undefined;

  bytesFor(variant: VariantKey): Buffer | undefined {
    return variant === this.variant ? this.bytes : this.others?.get(variant);
  }

  /** @returns the bytes. */
  keepBytes(variant: VariantKey, bytes: Buffer): Buffer {
    if (this.variant === undefined || this.variant === variant) {
      this.variant = variant;
      this.bytes = bytes;
    } else {
      (this.others ??= new Map<VariantKey, Buffer>()).set(variant, bytes);
    }
    return bytes;
  }
}
