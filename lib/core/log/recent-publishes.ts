import type { Position } from '../../protocol/position.js';

/** What is remembered of a publish. */
export interface RecentPublish extends Position {
  readonly channel: string;
  readonly fingerprint: string;
  /** When it is forgotten, in whole milliseconds of the clock that never jumps. */
  readonly until: number;
}

/** Most bytes that a node remembers publishes with. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Part of a generation that one producer may fill. */
const PRODUCER_PART = 1 / 8;
/** What an entry weighs without its texts, in bytes. */
const ENTRY_BYTES = 250;
/** What a producer weighs without its name and entries, in bytes. */
const PRODUCER_BYTES = 250;

/** A publish in the list of those of one producer that have one id: nearly always of one channel. */
class Remembered implements RecentPublish {
  fingerprint = '';
  epoch = '';
  seq = 0;
  until = 0;

  constructor(
    readonly channel: string,
    readonly next: Remembered | undefined,
  ) {}
}

/** Publishes of one producer. */
interface Publishes {
  /** By the id as the client gave it, so that no text is made and hashed for a publish. */
  readonly byId: Map<string, Remembered>;
  bytes: number;
}

/** Publishes of all producers that came in one span of time. */
class Generation {
  bytes = 0;
  readonly byProducer = new Map<string, Publishes>();

  put(producer: string, publishes: Publishes): void {
    this.delete(producer);
    this.byProducer.set(producer, publishes);
    this.bytes += publishes.bytes;
  }

  delete(producer: string): void {
    this.bytes -= this.byProducer.get(producer)?.bytes ?? 0;
    this.byProducer.delete(producer);
  }
}

/**
 * The publishes that this node remembers, in front of the broker's dedupe (P15): a retry is answered without running the
 * application's handler again. Only a shortcut: the broker decides, on any node. So it is bounded by forgetting the oldest; who
 * publishes more than a share forgets its own.
 */
export class RecentPublishes {
  /**
   * Two generations. The older one is dropped as a whole when both are full: removing the oldest entries of a map one
   * by one makes it slower and slower, since removed entries stay in its table until that is rebuilt.
   */
  private younger = new Generation();
  private older = new Generation();
  private retryCount = 0;

  /** @param maxBytes most bytes that are remembered; at least the newest half of them are, where no producer fills its share. Default 8 MiB. */
  constructor(readonly maxBytes = MAX_BYTES) {}

  /** Publishes that were found to be sent again. */
  get retries(): number {
    return this.retryCount;
  }

  noteRetry(): void {
    this.retryCount++;
  }

  /** Bytes that are remembered. */
  get bytes(): number {
    return this.younger.bytes + this.older.bytes;
  }

  /** @param now of the clock that never jumps, in milliseconds. */
  find(producer: string, channel: string, id: string, now: number): RecentPublish | undefined {
    const entry =
      inChannel(this.younger.byProducer.get(producer)?.byId.get(id), channel) ??
      inChannel(this.older.byProducer.get(producer)?.byId.get(id), channel);
    return entry !== undefined && entry.until > now ? entry : undefined;
  }

  remember(producer: string, id: string, publish: RecentPublish): void {
    const { channel, fingerprint, epoch, seq, until } = publish;
    const bytes = ENTRY_BYTES + 2 * (id.length + channel.length + fingerprint.length);
    const publishes = this.roomFor(producer, bytes);
    const { byId } = publishes;
    const others = byId.get(id);
    let entry = inChannel(others, channel);
    // The same publish again, of the same size: the newer answer counts.
    if (entry === undefined) {
      entry = new Remembered(channel, others);
      byId.set(id, entry);
      publishes.bytes += bytes;
      this.younger.bytes += bytes;
    }
    entry.fingerprint = fingerprint;
    entry.epoch = epoch;
    entry.seq = seq;
    entry.until = until;
  }

  /** The younger publishes of a producer, with room for so many bytes more. */
  private roomFor(producer: string, bytes: number): Publishes {
    const own = this.younger.byProducer.get(producer);
    const made = PRODUCER_BYTES + 2 * producer.length;
    const more = bytes + (own === undefined ? made : 0);
    if (this.younger.bytes + more > this.maxBytes / 2 || this.bytes + more > this.maxBytes) {
      this.older = this.younger;
      this.younger = new Generation();
    } else if (own !== undefined) {
      if (own.bytes + bytes <= (this.maxBytes / 2) * PRODUCER_PART) return own;
      // The share is full: the producer's own older publishes go, and nobody else's.
      this.younger.delete(producer);
      this.older.put(producer, own);
    }
    const publishes: Publishes = { byId: new Map(), bytes: made };
    this.younger.put(producer, publishes);
    return publishes;
  }
}

function inChannel(entry: Remembered | undefined, channel: string): Remembered | undefined {
  while (entry !== undefined && entry.channel !== channel) entry = entry.next;
  return entry;
}
