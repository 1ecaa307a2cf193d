import type { BrokerLog, ReadResult } from '../ports/broker.js';
import type { Clock, Scheduled } from '../ports/clock.js';

/** Events of one page. */
export const PAGE = 128;
/** Pages kept at most; a broker bounds what one read answers with. */
const MAX_PAGES = 64;
/** How long they are kept after the last use of any. */
const KEEP_MS = 1_000;

interface Page {
  readonly result: Promise<ReadResult>;
  /** Last `seq` in it; `undefined` while it is being read. */
  last: number | undefined;
  /** Whether the log had more of it than one read answers with. */
  cut: boolean;
}

/**
 * Pages of logs as replays read them: everybody who missed the same events reads them once together, and not each on its
 * own (G8). Pages begin at fixed places, so that clients at different positions meet in them. What a page holds never
 * changes within its epoch; the last one of a log is read again by whoever wants more than it has.
 */
export class PageCache {
  private readonly pages = new Map<string, Page>();
  private usedAt = 0;
  private timer: Scheduled | undefined;

  constructor(
    private readonly log: Pick<BrokerLog, 'read'>,
    private readonly clock: Clock,
  ) {}

  /** The page of an epoch that has, or will have, `seq` in it. Its events may begin before it, and end before it too. */
  read(channel: string, epoch: string, seq: number): Promise<ReadResult> {
    const start = seq - ((seq - 1) % PAGE);
    const until = start + PAGE - 1;
    const whole = this.pages.get(keyOf(channel, epoch, start));
    // The same read would be cut at the same place again.
    const from = whole?.cut === true && (whole.last ?? seq) < seq ? seq : start;
    const key = keyOf(channel, epoch, from);
    const known = this.pages.get(key);
    if (known !== undefined && (known.last === undefined || known.last >= seq)) {
      this.usedAt = this.clock.monotonic();
      return known.result;
    }
    const result = this.log.read({ channel, epoch, from, until, limit: PAGE });
    const page: Page = { result, last: undefined, cut: false };
    this.pages.set(key, page);
    const forget = (): void => {
      if (this.pages.get(key) === page) this.pages.delete(key);
    };
    result.then(({ events, tip }) => {
      page.last = events.at(-1)?.seq;
      page.cut = page.last !== undefined && page.last < Math.min(until, tip.seq);
      if (page.last === undefined || tip.epoch !== epoch) forget();
      else this.keep();
    }, forget);
    return result;
  }

  close(): void {
    this.timer?.cancel();
    this.pages.clear();
  }

  private keep(): void {
    this.usedAt = this.clock.monotonic();
    // The oldest is the first that was read, and replays go forward.
    for (const key of this.pages.keys()) {
      if (this.pages.size <= MAX_PAGES) break;
      this.pages.delete(key);
    }
    this.timer ??= this.clock.schedule(KEEP_MS, this.expire);
  }

  private readonly expire = (): void => {
    this.timer = undefined;
    const idleMs = this.clock.monotonic() - this.usedAt;
    if (idleMs >= KEEP_MS) this.pages.clear();
    else this.timer = this.clock.schedule(KEEP_MS - idleMs, this.expire);
  };
}

function keyOf(channel: string, epoch: string, from: number): string {
  return `${channel} ${epoch} ${from}`;
}
