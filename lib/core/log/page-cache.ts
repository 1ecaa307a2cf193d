import type { ReadResult } from '../ports/broker.js';
import type { Scheduled } from '../ports/clock.js';
import type { EnginePorts } from '../ports/settings.js';

/** Events of one page. */
export const PAGE = 128;
/** Most pages that are kept; a broker bounds the answer of one read. */
const MAX_PAGES = 64;
/** Most bytes of events in them; the newest page is kept however large it is. */
const MAX_BYTES = 16 * 1024 * 1024;
/** How long they are kept after the last use of any. */
const KEEP_MS = 1_000;

interface Page {
  readonly result: Promise<ReadResult>;
  /** Bytes of its events; 0 while it is being read. */
  bytes: number;
  /** Last `seq` in it; `undefined` while it is being read. */
  last: number | undefined;
  /** Whether the log had more of it than one read answers with. */
  cut: boolean;
}

/**
 * Pages of logs that replays read: clients that missed the same events share one read (G8). Pages begin at fixed places, so
 * that clients at different positions share them. A page never changes within its epoch; the last one of a log is read again
 * for events that it does not have.
 */
export class PageCache {
  private readonly pages = new Map<string, Page>();
  /** Bytes of the events of all pages. */
  private bytes = 0;
  private usedAt = 0;
  private timer: Scheduled | undefined;

  constructor(private readonly ports: Pick<EnginePorts, 'log' | 'clock'>) {}

  /** The page of an epoch that contains, or will contain, `seq`. Its events may begin and end before `seq`. */
  read(channel: string, epoch: string, seq: number): Promise<ReadResult> {
    const start = seq - ((seq - 1) % PAGE);
    const until = start + PAGE - 1;
    const from = this.startOf(channel, epoch, start, seq);
    const key = keyOf(channel, epoch, from);
    const known = this.pages.get(key);
    if (known !== undefined && (known.last === undefined || known.last >= seq)) {
      this.usedAt = this.ports.clock.monotonic();
      return known.result;
    }
    const result = this.ports.log.read({ channel, epoch, from, until, limit: PAGE });
    const page: Page = { result, bytes: 0, last: undefined, cut: false };
    this.forget(key);
    this.pages.set(key, page);
    const forget = (): void => {
      if (this.pages.get(key) === page) this.forget(key);
    };
    result.then(({ events, tip }) => {
      page.last = events.at(-1)?.seq;
      page.cut = page.last !== undefined && page.last < Math.min(until, tip.seq);
      if (page.last === undefined || tip.epoch !== epoch) return forget();
      if (this.pages.get(key) !== page) return;
      for (const event of events) page.bytes += event.weight;
      this.bytes += page.bytes;
      this.keep(key);
    }, forget);
    return result;
  }

  /** Where the page begins that contains `seq`: behind the pages before it that were cut, another read would be cut there too. */
  private startOf(channel: string, epoch: string, start: number, seq: number): number {
    let from = start;
    for (;;) {
      const key = keyOf(channel, epoch, from);
      const page = this.pages.get(key);
      // Clients at other positions share the pages that were read. Where one is not, it might end before `seq`.
      if (page?.last === undefined) return from === start ? start : seq;
      if (!page.cut || page.last >= seq) return from;
      // It leads to those behind it, so it is kept as long as they are used.
      this.pages.delete(key);
      this.pages.set(key, page);
      from = page.last + 1;
    }
  }

  close(): void {
    this.timer?.cancel();
    this.clear();
  }

  /** Forgets what was read of a channel, and does not share what is being read. */
  forgetChannel(channel: string): void {
    for (const key of [...this.pages.keys()]) if (key.startsWith(`${channel} `)) this.forget(key);
  }

  private forget(key: string): void {
    const page = this.pages.get(key);
    if (page === undefined) return;
    this.pages.delete(key);
    this.bytes -= page.bytes;
  }

  /** Forgets everything that was read, and does not share what is being read. */
  clear(): void {
    this.pages.clear();
    this.bytes = 0;
  }

  /** @param newest the page that was just read. */
  private keep(newest: string): void {
    this.usedAt = this.ports.clock.monotonic();
    // The first page is the oldest one, and replays read forwards.
    for (const key of this.pages.keys()) {
      if (this.pages.size <= MAX_PAGES && this.bytes <= MAX_BYTES) break;
      if (key !== newest) this.forget(key);
    }
    this.timer ??= this.ports.clock.schedule(KEEP_MS, this.expire);
  }

  private readonly expire = (): void => {
    this.timer = undefined;
    const idleMs = this.ports.clock.monotonic() - this.usedAt;
    if (idleMs >= KEEP_MS) this.clear();
    else this.timer = this.ports.clock.schedule(KEEP_MS - idleMs, this.expire);
  };
}

function keyOf(channel: string, epoch: string, from: number): string {
  return `${channel} ${epoch} ${from}`;
}
