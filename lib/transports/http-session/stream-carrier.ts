import type { WireVariant } from '../../core/ports/connection.js';
import type { Envelope } from '../../protocol/envelope.js';
import { blockOf, COMMENT, type BlockVariants } from '../sse/blocks.js';
import type { EventStream } from '../sse/event-stream.js';
import type { Carrier, CarrierEvents } from './carrier.js';

/** A session whose messages come as the blocks of an event stream, as those of plain streams do. */
export class StreamCarrier implements Carrier {
  readonly variant: WireVariant;
  readonly pings = true;

  constructor(
    private readonly stream: EventStream,
    variants: BlockVariants,
    private readonly headers: Readonly<Record<string, string>>,
  ) {
    this.variant = variants.of({ chunked: stream.chunked, named: false, single: false });
  }

  get copiesFrames(): boolean {
    return this.stream.copiesFrames;
  }

  get bufferedBytes(): number {
    return this.stream.bufferedBytes;
  }

  begin(session: CarrierEvents): void {
    this.stream.own(session);
    this.stream.begin(this.headers);
    // Before anybody is asked who the client is: it sees at once whether the stream gets through.
    this.stream.writeText(COMMENT);
  }

  write(frame: Buffer): boolean {
    return this.stream.write(frame);
  }

  /** The socket has everything. */
  mayHold(): boolean {
    return false;
  }

  /** What the socket has cannot be taken back. */
  withdraw(): void {}

  end(last: Envelope): undefined {
    this.stream.end(blockOf({ data: JSON.stringify(last) }));
  }

  destroy(): void {
    this.stream.destroy();
  }
}
