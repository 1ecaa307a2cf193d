import { lengthOf, timeOf } from './clock.js';

/** What a room's state has of each user who may only read. */
export interface Muted {
  readonly user: string;
  readonly forMs?: number;
}

interface Entry {
  /** Unix time in milliseconds; `undefined` without end. */
  readonly until: number | undefined;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

/** Who may only read in the open room. A mute ends by itself: the page counts along, and the server decides. */
export class MutedUsers {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly changed: () => void) {}

  has(user: string): boolean {
    return this.entries.has(user);
  }

  /** "until 14:05" for a user who is muted. */
  wordsOf(user: string): string | undefined {
    const entry = this.entries.get(user);
    if (entry === undefined) return undefined;
    return entry.until === undefined ? 'until a moderator lifts it' : `until ${timeOf(entry.until)}`;
  }

  add({ user, forMs }: Muted): void {
    clearTimeout(this.entries.get(user)?.timer);
    const ends = forMs === undefined ? {} : { until: Date.now() + forMs, timer: this.end(user, forMs) };
    this.entries.set(user, { until: undefined, timer: undefined, ...ends });
    this.changed();
  }

  delete(user: string): void {
    clearTimeout(this.entries.get(user)?.timer);
    if (this.entries.delete(user)) this.changed();
  }

  replace(all: readonly Muted[]): void {
    this.close();
    for (const muted of all) this.add(muted);
    this.changed();
  }

  close(): void {
    for (const { timer } of this.entries.values()) clearTimeout(timer);
    this.entries.clear();
  }

  private end(user: string, forMs: number): ReturnType<typeof setTimeout> | undefined {
    // A longer timer would fire at once.
    return forMs > MAX_TIMER_MS ? undefined : setTimeout(() => this.delete(user), forMs);
  }
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a refused message says of a mute: for how long, and whether it is slow mode. `undefined` for another error. */
export function restraintOf(
  error: unknown,
): { readonly isSlow: boolean; readonly forMs?: number } | undefined {
  const { code, reason, retryAfterMs } = error as { code?: string; reason?: string; retryAfterMs?: number };
  if (code !== 'muted') return undefined;
  return {
    isSlow: reason === 'slow_mode',
    ...(retryAfterMs === undefined ? {} : { forMs: retryAfterMs }),
  };
}

export const slowWords = (everyMs: number): string => `Slow mode: one message in ${lengthOf(everyMs)}`;
