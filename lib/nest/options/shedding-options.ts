import type { SheddingPolicy } from '../../core/ports/overload.js';
import type { OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';

/** When this node sheds load, after validation. */
export interface SheddingConfig {
  readonly policy: SheddingPolicy;
  /** Bytes that the process may have; `undefined` for those of its container. */
  readonly memoryLimit: number | undefined;
}

/** Reads `shedding`. @returns `undefined` where it is switched off. */
export function resolveShedding(reader: OptionReader): SheddingConfig | undefined {
  if (reader.value('shedding') === false) return undefined;
  const { memory, memoryLimit, ...policy } = reader.group('shedding', MODULE_TABLE.shedding);
  return { policy: { ...policy, memoryPercent: memory }, memoryLimit };
}
