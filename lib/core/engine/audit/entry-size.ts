import type { AuditEntry } from '../../ports/audit.js';
import { sizeOfValue } from '../../ports/value-size.js';

/** What an entry takes of memory beside its texts. */
const ENTRY_BYTES = 256;

/** Bytes that an entry counts as. */
export function sizeOfEntry(entry: AuditEntry): number {
  return ENTRY_BYTES + sizeOfValue(entry);
}
