import type { Connection, Handshake } from '../ports/connection.js';

/** What connections of one transport and codec have sent and were sent, as numbers that only grow, and how many are open. */
export interface TrafficCounts {
  readonly transport: Handshake['transport'];
  /** Name of the codec. */
  readonly codec: string;
  opened: number;
  open: number;
  /** Frames that came in, and their bytes. */
  framesIn: number;
  bytesIn: number;
  /** Frames that were handed to sockets, and their bytes, before TLS and chunks of HTTP. */
  framesOut: number;
  bytesOut: number;
}

/** The traffic of one node. Each connection finds its counts once and then adds to them: there are few, and nobody walks connections. */
export class Traffic {
  private readonly counts: TrafficCounts[] = [];

  of({ handshake, variant }: Pick<Connection, 'handshake' | 'variant'>): TrafficCounts {
    const { transport } = handshake;
    const codec = variant.codec.name;
    const known = this.counts.find((one) => one.transport === transport && one.codec === codec);
    if (known !== undefined) return known;
    const none = { opened: 0, open: 0, framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0 };
    const made: TrafficCounts = { transport, codec, ...none };
    this.counts.push(made);
    return made;
  }

  list(): readonly Readonly<TrafficCounts>[] {
    return this.counts;
  }
}
