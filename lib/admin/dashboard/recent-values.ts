import type { Clock } from '../../core/ports/clock.js';

/** How long values count, in milliseconds: as often the page is sent new ones. */
const WINDOW_MS = 1_000;
/** Values of a window that are kept; of more, every so manieth. */
const MAX_VALUES = 1_024;

/** The values of the last second, for however many ask: a question takes nothing away from the next. */
export class RecentValues {
  private values: number[] = [];
  private added = 0;
  private endsAt: number;
  private last = 0;

  constructor(private readonly clock: Pick<Clock, 'monotonic'>) {
    this.endsAt = clock.monotonic() + WINDOW_MS;
  }

  add(value: number): void {
    this.turn();
    const every = 1 << Math.floor(this.added / MAX_VALUES);
    if (this.added++ % every === 0) this.values.push(value);
    if (this.values.length > 2 * MAX_VALUES) this.values = this.values.filter((_, index) => index % 2 === 0);
  }

  /** The value that 99 of 100 do not exceed, of the last second that is over; 0 where there was none. */
  high(): number {
    this.turn();
    return this.last;
  }

  private turn(): void {
    const now = this.clock.monotonic();
    if (now < this.endsAt) return;
    const sorted = this.values.sort((one, other) => one - other);
    // The one before the last was long ago where nothing came since.
    this.last = now < this.endsAt + WINDOW_MS ? (sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0) : 0;
    this.values = [];
    this.added = 0;
    this.endsAt = now + WINDOW_MS;
  }
}
