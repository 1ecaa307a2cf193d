import type { AuditDraft } from '../core/ports/audit.js';
import type { Clock } from '../core/ports/clock.js';

/** How long the entry of a reader stands for what the same reader reads of the same channel, in milliseconds. */
const WINDOW_MS = 60_000;
/** Readers and channels that are remembered. */
const MAX_READS = 1_024;

export interface ReadEntriesDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly record: (draft: AuditDraft) => void;
}

/**
 * Who read messages, or the audit: an entry for the first read, which stands for those of the next minute. A page that is open and asks
 * again and again fills no audit.
 */
export class ReadEntries {
  /** When the entry was made, the oldest first. */
  private readonly made = new Map<string, number>();

  constructor(private readonly deps: ReadEntriesDeps) {}

  add(act: 'read_history' | 'read_audit', by: string, channel?: string): void {
    const { clock, record } = this.deps;
    const key = JSON.stringify([act, by, channel]);
    const now = clock.monotonic();
    const at = this.made.get(key);
    if (at !== undefined && now - at < WINDOW_MS) return;
    this.made.delete(key);
    // The oldest: its reader has an entry too many, if it comes again soon.
    for (const oldest of this.made.keys()) {
      if (this.made.size < MAX_READS) break;
      this.made.delete(oldest);
    }
    this.made.set(key, now);
    record({ act, by, ...(channel === undefined ? {} : { channel }) });
  }
}
