import type { ThrottledLog } from '../async/throttled-log.js';
import { ChannelEvent } from '../ports/channel-event.js';
import type { Clock } from '../ports/clock.js';

/** How long an erasure is remembered, in milliseconds: longer than any read or message of a broker is under way. */
const KEEP_MS = 5 * 60_000;
/** Most erased events that are remembered. */
const MAX_EVENTS = 50_000;

/** Events of one channel that were erased together. */
interface Erasure {
  readonly channel: string;
  /** Incarnations of the log in which they had these places. */
  readonly epochs: readonly string[];
  readonly seqs: ReadonlySet<number>;
  /** On the clock that never jumps. */
  readonly until: number;
}

/**
 * The erasures of the last minutes, as this node knows them. The log has nothing of these events any more; what was read from it, or
 * sent by it, before that may still arrive, and is cleansed then (G29). A channel in which nothing was erased costs one look.
 */
export class Erasures {
  private readonly byChannel = new Map<string, Erasure[]>();
  /** All of them, oldest first. */
  private all: Erasure[] = [];
  private events = 0;

  /** @param maxEvents most erased events that are remembered; the oldest are forgotten first. */
  constructor(
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly journal: Pick<ThrottledLog, 'warn'>,
    private readonly maxEvents = MAX_EVENTS,
  ) {}

  /** Erased events that are remembered. */
  get size(): number {
    return this.events;
  }

  record(channel: string, epochs: readonly string[], seqs: readonly number[]): void {
    const erasure: Erasure = {
      channel,
      epochs,
      seqs: new Set(seqs),
      until: this.clock.monotonic() + KEEP_MS,
    };
    const known = this.byChannel.get(channel);
    if (known === undefined) this.byChannel.set(channel, [erasure]);
    else known.push(erasure);
    this.all.push(erasure);
    this.events += erasure.seqs.size;
    this.trim();
  }

  /**
   * What may be delivered of events that were read or came before this node knew of their erasure.
   *
   * @returns the same list where none of them was erased.
   */
  cleanse(channel: string, events: readonly ChannelEvent[]): readonly ChannelEvent[] {
    if (this.all.length === 0) return events;
    const erasures = this.byChannel.get(channel);
    if (erasures === undefined || !events.some((event) => isIn(erasures, event))) return events;
    return events.map((event) => (isIn(erasures, event) ? ChannelEvent.erased(event) : event));
  }

  /** Whether an event of a channel was erased, and is not what is left of it. */
  covers(event: ChannelEvent): boolean {
    const erasures = this.byChannel.get(event.channel);
    return erasures !== undefined && isIn(erasures, event);
  }

  private trim(): void {
    const now = this.clock.monotonic();
    let gone = 0;
    for (const erasure of this.all) {
      const isOver = erasure.until <= now;
      // The newest stays, however many events it has.
      if (!isOver && (this.events <= this.maxEvents || erasure === this.all.at(-1))) break;
      if (!isOver)
        this.journal.warn(
          'erasures',
          () =>
            `More than ${this.maxEvents} events were erased within ${KEEP_MS / 60_000} minutes: this node has forgotten the oldest ` +
            'erasures, and a read that began before one of them could still deliver what it read. Erase more slowly',
        );
      this.forget(erasure);
      gone++;
    }
    if (gone > 0) this.all = this.all.slice(gone);
  }

  private forget(erasure: Erasure): void {
    this.events -= erasure.seqs.size;
    const left = this.byChannel.get(erasure.channel)?.filter((other) => other !== erasure) ?? [];
    if (left.length === 0) this.byChannel.delete(erasure.channel);
    else this.byChannel.set(erasure.channel, left);
  }
}

function isIn(erasures: readonly Erasure[], event: ChannelEvent): boolean {
  return (
    !event.isErased &&
    erasures.some(({ epochs, seqs }) => seqs.has(event.seq) && epochs.includes(event.epoch))
  );
}
