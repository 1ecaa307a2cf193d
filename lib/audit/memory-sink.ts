import { KeptEntries } from '../core/engine/audit/kept-entries.js';
import type { AuditSink } from '../core/ports/audit.js';
import { checkBounds } from './bounds.js';

/** Bounds of {@link memorySink}. */
export interface MemorySinkOptions {
  /** Entries that are kept; the oldest go first. Default 10000. */
  readonly entries?: number;
  /** Bytes of them. Default 8388608 (8 MiB). */
  readonly bytes?: number;
}

/**
 * Keeps the newest entries of this process, for `realtime.audit.list()`. They end with the process, and other nodes do not have them.
 *
 * @throws RangeError for bounds that are no whole numbers above 0.
 * @example forRoot({ audit: { sinks: [memorySink({ entries: 1_000 }), logSink()] } })
 * @publicApi
 */
export function memorySink({ entries = 10_000, bytes = 8 * 1024 * 1024 }: MemorySinkOptions = {}): Required<
  Pick<AuditSink, 'read' | 'write' | 'name'>
> {
  checkBounds('memorySink', { entries, bytes });
  return new KeptEntries({ entries, bytes });
}
