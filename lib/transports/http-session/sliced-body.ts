import type { ServerResponse } from 'node:http';

/** Bytes that a socket is given before it has to have passed them on: of one large write nothing shows until all of it has left. */
const SLICE_BYTES = 32 * 1024;

/** The body of a response, written as fast as its client reads. */
export class SlicedBody {
  private part = 0;
  private offset = 0;

  /**
   * @param waiting bytes that the response has not been given.
   * @param onProgress called when the socket has passed some on.
   */
  constructor(
    private readonly res: ServerResponse,
    private readonly parts: readonly Buffer[],
    public waiting: number,
    private readonly onProgress: () => void,
  ) {}

  /** Writes all of it. @param onWritten called when the response was given the last of it. */
  write(onWritten: () => void): void {
    const { res } = this;
    for (let room = SLICE_BYTES; this.waiting > 0;) {
      const slice = this.next(room);
      room -= slice.length;
      this.waiting -= slice.length;
      if (room > 0 || this.waiting === 0) {
        res.write(slice);
        continue;
      }
      res.write(slice, (error) => {
        if (error != null || res.destroyed) return;
        this.onProgress();
        this.write(onWritten);
      });
      return;
    }
    onWritten();
  }

  /** As much of the part that is next as there is room for. */
  private next(room: number): Buffer {
    const part = this.parts[this.part] as Buffer;
    const slice = part.subarray(this.offset, this.offset + room);
    this.offset += slice.length;
    if (this.offset >= part.length) {
      this.part++;
      this.offset = 0;
    }
    return slice;
  }
}
