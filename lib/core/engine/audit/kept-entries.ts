import {
  matchesFilter,
  type AuditEntry,
  type AuditPage,
  type AuditQuery,
  type AuditSink,
} from '../../ports/audit.js';
import { sizeOfEntry } from './entry-size.js';

/** Entries that one page looks at. */
const LOOKED_AT = 5_000;

/** Bounds of {@link KeptEntries}. */
export interface KeptEntriesLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Keeps the newest entries of this process, for lists. */
export class KeptEntries implements AuditSink {
  readonly name = 'memory';
  private readonly kept: { readonly entry: AuditEntry; readonly bytes: number }[] = [];
  /** Index in `kept` of the oldest that is left. */
  private first = 0;
  /** Entries that were there before the first of `kept`. */
  private gone = 0;
  private bytes = 0;

  constructor(private readonly limits: KeptEntriesLimits) {}

  get size(): number {
    return this.kept.length - this.first;
  }

  write(entry: AuditEntry): void {
    const bytes = sizeOfEntry(entry);
    this.kept.push({ entry, bytes });
    this.bytes += bytes;
    while (this.size > this.limits.entries || this.bytes > this.limits.bytes) this.dropOldest();
  }

  /** The cursor is the number of the last entry that was looked at, so that new entries change no page. */
  read({ cursor, limit, ...filter }: AuditQuery): AuditPage {
    const entries: AuditEntry[] = [];
    const oldest = this.gone + this.first;
    const end = this.gone + this.kept.length;
    let at = cursor === undefined ? end : Math.min(end, positionOf(cursor));
    const least = Math.max(oldest, at - LOOKED_AT);
    while (at > least && entries.length < limit) {
      const found = this.kept[--at - this.gone];
      if (found !== undefined && matchesFilter(found.entry, filter)) entries.push(found.entry);
    }
    return at > oldest ? { entries, more: String(at) } : { entries };
  }

  private dropOldest(): void {
    this.bytes -= this.kept[this.first++]?.bytes ?? 0;
    if (this.first < 1_024 || this.first < this.kept.length / 2) return;
    this.gone += this.first;
    this.kept.splice(0, this.first);
    this.first = 0;
  }
}

/** A cursor of another sink leads nowhere, and to no error: what is behind it is gone. */
function positionOf(cursor: string): number {
  const position = Number(cursor);
  return Number.isSafeInteger(position) ? position : 0;
}
