import { readFileSync, writeFileSync } from 'node:fs';

/**
 * The most memory that this process had resident since {@link PeakMemory.reset}, as the kernel keeps it (Linux), so that
 * nothing is missed while the event loop is busy.
 */
export class PeakMemory {
  reset() {
    try {
      writeFileSync('/proc/self/clear_refs', '5');
    } catch {
      // Not Linux: there is no peak then.
    }
  }

  /** In bytes; NaN where the system does not say. */
  read() {
    try {
      const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
      return Number(kilobytes) * 1_024;
    } catch {
      return Number.NaN;
    }
  }
}
