import { KeptEntries } from '../../core/engine/audit/kept-entries.js';
import type { AuditDeps } from '../../core/engine/audit/audit.js';
import type { AuditSink } from '../../core/ports/audit.js';
import type { Observer } from '../../core/ports/observer.js';
import type { OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';

/** Acts that are kept where no sinks are given. */
const KEPT = { entries: 1_000, bytes: 1024 * 1024 };

/** Options of the audit, after validation. */
export type AuditConfig = Pick<
  AuditDeps,
  'sinks' | 'refusals' | 'refusalsPerMinute' | 'maxEntries' | 'maxBytes' | 'writeTimeoutMs'
>;

/** Reads `audit`. What clients are refused is recorded only where the option is given: it costs a little for each authorization. */
export function resolveAudit(parent: OptionReader): AuditConfig {
  const isGiven = parent.value('audit') !== undefined;
  const reader = parent.object('audit');
  const { refusalsPerMinute, maxQueued, maxQueuedBytes, writeTimeoutMs } = reader.all(MODULE_TABLE.audit);
  const sinks = reader.checked(
    'sinks',
    isSinks,
    'is not a list of sinks.',
    'Give objects with a write() method, such as [logSink()] of nestjs-realtime/audit.',
  );
  reader.end();
  return {
    sinks: sinks === undefined || sinks.length === 0 ? [new KeptEntries(KEPT)] : sinks,
    refusalsPerMinute,
    refusals: isGiven && refusalsPerMinute > 0,
    maxEntries: maxQueued,
    maxBytes: maxQueuedBytes,
    writeTimeoutMs,
  };
}

/** Reads `observers`. */
export function resolveObservers(reader: OptionReader): readonly Observer[] {
  return (
    reader.checked(
      'observers',
      isObservers,
      'is not a list of observers.',
      'Give objects with methods such as onAct(), not classes.',
    ) ?? []
  );
}

function isSinks(value: unknown): value is readonly AuditSink[] {
  return Array.isArray(value) && value.every(isSink);
}

function isSink(value: unknown): value is AuditSink {
  const { write, read } = (value ?? {}) as Partial<AuditSink>;
  return typeof write === 'function' && (read === undefined || typeof read === 'function');
}

function isObservers(value: unknown): value is readonly Observer[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null);
}
