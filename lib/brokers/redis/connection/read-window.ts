import type { Clock, Scheduled } from '../../../core/ports/clock.js';
import { RealtimeError } from '../../../protocol/realtime-error.js';

/** Most reads under way on one connection. Redis keeps the answers that a connection has not taken yet in its memory. */
const MAX_UNDER_WAY = 32;
/** How long a read waits for its turn, in milliseconds: as long as handlers have unless it is set otherwise. */
const MAX_WAIT_MS = 10_000;
const TOO_LATE = 'Redis has so many reads to answer that this one had no turn in time';

interface Waiting {
  /** Monotonic time at which it is refused. */
  readonly until: number;
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/** Lets so many reads of one connection be under way; the others wait for their turn, in order. The caller bounds how many wait. */
export class ReadWindow {
  private underWay = 0;
  private waiting: Waiting[] = [];
  /** Fires for the one that waits longest. */
  private timer: Scheduled | undefined;

  /** @param onIdle Called when no read is under way any more. */
  constructor(
    private readonly clock: Clock,
    private readonly onIdle: () => void,
  ) {}

  /**
   * @param lateAnswer Of an error of `read`: the answer that may still come. Until it does, or the connection has ended, the
   * read keeps its place, as the server works on it.
   * @throws RealtimeError `timeout` for a read whose turn does not come in time; it is not begun then.
   */
  async run<T>(
    read: () => Promise<T>,
    lateAnswer: (error: unknown) => Promise<unknown> | undefined,
  ): Promise<T> {
    if (this.underWay < MAX_UNDER_WAY) this.underWay += 1;
    else await this.turn();
    let late: Promise<unknown> | undefined;
    try {
      return await read();
    } catch (error) {
      late = lateAnswer(error);
      throw error;
    } finally {
      const pass = () => this.pass();
      if (late === undefined) pass();
      else late.then(pass, pass);
    }
  }

  /** Fails what waits: the places may not be free for long. */
  refuseWaiting(error: Error): void {
    for (const { refuse } of this.waiting.splice(0)) refuse(error);
    this.watch();
  }

  private turn(): Promise<void> {
    const until = this.clock.monotonic() + MAX_WAIT_MS;
    return new Promise<void>((begin, refuse) => {
      this.waiting.push({ until, begin, refuse });
      this.timer ??= this.clock.schedule(MAX_WAIT_MS, () => this.onTimer());
    });
  }

  private onTimer(): void {
    const now = this.clock.monotonic();
    while (this.waiting[0] !== undefined && this.waiting[0].until <= now)
      this.waiting.shift()?.refuse(new RealtimeError('timeout', TOO_LATE));
    this.watch();
  }

  /** The timer is that of the first in the line. */
  private watch(): void {
    this.timer?.cancel();
    const [first] = this.waiting;
    this.timer = first && this.clock.schedule(first.until - this.clock.monotonic(), () => this.onTimer());
  }

  /** The place passes to the next one. */
  private pass(): void {
    const next = this.waiting.shift();
    if (next !== undefined) {
      // While others wait it stays: when it fires, it looks at the first again.
      if (this.waiting.length === 0) this.watch();
      return next.begin();
    }
    this.underWay -= 1;
    if (this.underWay === 0) this.onIdle();
  }
}
