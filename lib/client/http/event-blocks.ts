/** Line ends of an event stream: CRLF, LF and CR. */
const LINE_END = /\r\n|\n|\r/g;

/**
 * Reads an event stream (WHATWG HTML §9.2.6) from chunks that end anywhere: in the middle of a line, of a line end, or of a character.
 * The client's streams have only `data`; comments and other fields are passed over.
 */
export class EventBlocks {
  /** Also takes a byte order mark away, once, at the beginning. */
  private readonly decoder = new TextDecoder();
  /** Of the line that has no end yet. In parts: to look through the whole of it at each chunk would be quadratic in its length. */
  private parts: string[] = [];
  /** Whether the last chunk ended with CR: a LF that follows belongs to it. */
  private endedWithCr = false;
  private data: string[] = [];

  /** @param onData Called with the data of each block that ends in the chunk. */
  constructor(private readonly onData: (data: string) => void) {}

  push(chunk: Uint8Array): void {
    let text = this.decoder.decode(chunk, { stream: true });
    if (text === '') return;
    if (this.endedWithCr && text.startsWith('\n')) text = text.slice(1);
    this.endedWithCr = text.endsWith('\r');
    const lines = text.split(LINE_END);
    const rest = lines.pop() ?? '';
    for (const line of lines) this.onLine(this.whole(line));
    if (rest !== '') this.parts.push(rest);
  }

  private whole(end: string): string {
    if (this.parts.length === 0) return end;
    const line = this.parts.join('') + end;
    this.parts = [];
    return line;
  }

  private onLine(line: string): void {
    if (line === '') {
      if (this.data.length === 0) return;
      const data = this.data.join('\n');
      this.data = [];
      this.onData(data);
      return;
    }
    if (line.startsWith('data:')) this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
    else if (line === 'data') this.data.push('');
  }
}
