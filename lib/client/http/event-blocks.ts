/** Line ends of an event stream: CRLF, LF and CR. */
const LINE_END = /\r\n|\n|\r/g;

/**
 * Reads an event stream (WHATWG HTML §9.2.6) from chunks that end anywhere: in the middle of a line, of a line end, or of a character.
 * The client's streams have only `data`; comments and other fields are passed over.
 */
export class EventBlocks {
  /** Also takes a byte order mark away, once, at the beginning. */
  private readonly decoder = new TextDecoder();
  /** The line that has no end yet. */
  private rest = '';
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
    const lines = (this.rest + text).split(LINE_END);
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.onLine(line);
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
