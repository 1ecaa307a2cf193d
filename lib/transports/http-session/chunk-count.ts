/** Chunks of any size that a body may have: nobody sends more on purpose. */
const MAX_CHUNKS = 1_000;
/** A chunk of so many bytes costs nothing by itself: networks deliver what is large in pieces of about this size. */
const WHOLE_CHUNK_BYTES = 1_024;

/** Counts the chunks of one body. Each is an event and an object, however few bytes of it there are (G16). */
export class ChunkCount {
  private chunks = 0;
  private bytes = 0;
  private small = 0;

  /** As how many frames the chunks count beside the request itself: those that are smaller than any network would make them. */
  get frames(): number {
    return Math.max(0, this.small - 1);
  }

  /** @returns `false` where there are too many for what is in them. */
  take({ length }: Uint8Array): boolean {
    this.chunks++;
    this.bytes += length;
    if (length < WHOLE_CHUNK_BYTES) this.small++;
    return this.chunks <= MAX_CHUNKS + this.bytes / WHOLE_CHUNK_BYTES;
  }
}
