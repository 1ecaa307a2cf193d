import type { ThrottledLog } from '../async/throttled-log.js';
import { ChannelEvent } from '../ports/channel-event.js';
import type { Clock } from '../ports/clock.js';

/** How long an erasure is remembered, in milliseconds: longer than any read or message of a broker is under way. */
const KEEP_MS = 5 * 60_000;
/** Most erased events that are remembered. */
const MAX_EVENTS = 50_000;
/** Most bytes that they take. */
const MAX_BYTES = 16 * 1024 * 1024;
/** What an erasure takes beside its texts, and each of its places, in bytes. */
const ERASURE_BYTES = 600;
const PLACE_BYTES = 96;

/** Events of one channel that were erased together. */
interface Erasure {
  readonly channel: string;
  /** Incarnations of the log in which they had these places. */
  readonly epochs: readonly string[];
  readonly seqs: ReadonlySet<number>;
  /** On the clock that never jumps. */
  readonly until: number;
  /** Its number among all. */
  readonly serial: number;
  readonly bytes: number;
}

/** Is called with the places of events of one channel that were erased, and with its name. */
export type ErasedListener = (seqs: readonly number[], channel: string) => void;

/** Where an event was appended. */
export interface EventPlace {
  readonly channel: string;
  readonly epoch: string;
  readonly seq: number;
}

/** Where events of one channel were erased. */
class ErasedPlaces {
  /** {@link Erasure.serial} of the newest. */
  newest = 0;
  /** By epoch: each place, with the newest erasure of it. One that is looked for costs the same, however many there are. */
  private readonly byEpoch = new Map<string, Map<number, number>>();

  add({ epochs, seqs, serial }: Erasure): void {
    this.newest = serial;
    for (const epoch of epochs) {
      let places = this.byEpoch.get(epoch);
      if (places === undefined) this.byEpoch.set(epoch, (places = new Map<number, number>()));
      for (const seq of seqs) places.set(seq, serial);
    }
  }

  /** @returns whether nothing is left. */
  remove({ epochs, seqs, serial }: Erasure): boolean {
    for (const epoch of epochs) {
      const places = this.byEpoch.get(epoch);
      if (places === undefined) continue;
      for (const seq of seqs) if (places.get(seq) === serial) places.delete(seq);
      if (places.size === 0) this.byEpoch.delete(epoch);
    }
    return this.byEpoch.size === 0;
  }

  has({ epoch, seq, isErased }: ChannelEvent): boolean {
    return !isErased && this.hasPlace(epoch, seq);
  }

  hasPlace(epoch: string, seq: number): boolean {
    return this.byEpoch.get(epoch)?.has(seq) === true;
  }
}

/**
 * The erasures of the last minutes, as this node knows them. The log has nothing of these events any more; what was read from it, or
 * sent by it, before that may still arrive, and is cleansed then (G29). A channel in which nothing was erased costs one look.
 */
export class Erasures {
  private readonly byChannel = new Map<string, ErasedPlaces>();
  /** All of them, oldest first. */
  private all: Erasure[] = [];
  private events = 0;
  private weight = 0;
  private count = 0;
  /** {@link Erasure.serial} of the newest that was forgotten. */
  private forgotten = 0;
  private readonly listeners = new Set<ErasedListener>();

  /** @param maxEvents most erased events that are remembered; the oldest are forgotten first. @param maxBytes most bytes of them. */
  constructor(
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly journal: Pick<ThrottledLog, 'warn'>,
    private readonly maxEvents = MAX_EVENTS,
    private readonly maxBytes = MAX_BYTES,
  ) {}

  /** Erased events that are remembered. */
  get size(): number {
    return this.events;
  }

  /** What they take, in bytes. */
  get bytes(): number {
    return this.weight;
  }

  /** Names this moment among the erasures, for {@link hasSince}. */
  get mark(): number {
    return this.count;
  }

  /**
   * Whether events of a channel were erased since then, as far as this node knows: what the application made before that may have
   * them. Also where that is no longer remembered.
   */
  hasSince(channel: string, mark: number): boolean {
    if (mark === this.count) return false;
    return mark < this.forgotten || (this.byChannel.get(channel)?.newest ?? 0) > mark;
  }

  /** Calls back with all that {@link notify} is called with. */
  listen(listener: ErasedListener): void {
    this.listeners.add(listener);
  }

  /** Who keeps what this node sent, beside its sessions, is to drop what may have one of these events. */
  notify(seqs: readonly number[], channel: string): void {
    for (const listener of this.listeners) listener(seqs, channel);
  }

  record(channel: string, epochs: readonly string[], seqs: readonly number[]): void {
    const erasure: Erasure = {
      channel,
      epochs,
      seqs: new Set(seqs),
      until: this.clock.monotonic() + KEEP_MS,
      serial: ++this.count,
      bytes:
        ERASURE_BYTES +
        2 * (channel.length + epochs.join('').length) +
        PLACE_BYTES * epochs.length * seqs.length,
    };
    let known = this.byChannel.get(channel);
    if (known === undefined) this.byChannel.set(channel, (known = new ErasedPlaces()));
    known.add(erasure);
    this.all.push(erasure);
    this.events += erasure.seqs.size;
    this.weight += erasure.bytes;
    this.trim();
  }

  /**
   * What may be delivered of events that were read or came before this node knew of their erasure.
   *
   * @returns the same list where none of them was erased.
   */
  cleanse(channel: string, events: readonly ChannelEvent[]): readonly ChannelEvent[] {
    if (this.all.length === 0) return events;
    const places = this.byChannel.get(channel);
    if (places === undefined || !events.some((event) => places.has(event))) return events;
    return events.map((event) => (places.has(event) ? ChannelEvent.erased(event) : event));
  }

  /** Whether an event of a channel was erased, and is not what is left of it. */
  covers(event: ChannelEvent): boolean {
    return this.byChannel.get(event.channel)?.has(event) === true;
  }

  /** Whether what was appended there was erased. */
  coversPlace({ channel, epoch, seq }: EventPlace): boolean {
    return this.byChannel.get(channel)?.hasPlace(epoch, seq) === true;
  }

  private trim(): void {
    const now = this.clock.monotonic();
    let gone = 0;
    for (const erasure of this.all) {
      const isOver = erasure.until <= now;
      // The newest stays, however many events it has.
      const hasRoom = this.events <= this.maxEvents && this.weight <= this.maxBytes;
      if (!isOver && (hasRoom || erasure === this.all.at(-1))) break;
      if (!isOver)
        this.journal.warn(
          'erasures',
          () =>
            `More than ${this.maxEvents} events, or ${this.maxBytes} bytes of their places, were erased within ${KEEP_MS / 60_000} minutes: this node has forgotten the oldest ` +
            'erasures, and a read that began before one of them could still deliver what it read. Erase more slowly',
        );
      this.forget(erasure);
      gone++;
    }
    if (gone > 0) this.all = this.all.slice(gone);
  }

  private forget(erasure: Erasure): void {
    this.events -= erasure.seqs.size;
    this.weight -= erasure.bytes;
    this.forgotten = erasure.serial;
    if (this.byChannel.get(erasure.channel)?.remove(erasure) === true) this.byChannel.delete(erasure.channel);
  }
}
