import type { OptionError } from '../../protocol/validation/option-error.js';

/** Options that every log of the replicated broker has, whatever keeps it. */
export interface CommonLogSettings {
  readonly partitions: number;
  readonly retentionMs: number;
  readonly maxRecordBytes: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

const DAY_MS = 86_400_000;
const MAX_PARTITIONS = 256;
const MIN_RECORD_BYTES = 16_384;

export const LOG_DEFAULTS: CommonLogSettings = {
  partitions: 8,
  retentionMs: DAY_MS,
  maxRecordBytes: 524_288,
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 5_000,
};

/**
 * Checks what all logs have in common, and the further counts of one of them.
 *
 * @param counts What must be a whole number above 0 too.
 * @throws RangeError that names the option
 */
export function assertLogSettings<Name extends string>(
  settings: CommonLogSettings & Readonly<Record<Name, number>>,
  counts: readonly Name[],
  optionError: OptionError,
): void {
  for (const name of [...(Object.keys(LOG_DEFAULTS) as (keyof CommonLogSettings)[]), ...counts]) {
    if (!(Number.isSafeInteger(settings[name]) && settings[name] > 0))
      throw optionError(name, 'must be a whole number above 0');
  }
  if (settings.partitions > MAX_PARTITIONS)
    throw optionError('partitions', `must be at most ${MAX_PARTITIONS}`);
  if (settings.maxRecordBytes < MIN_RECORD_BYTES)
    throw optionError('maxRecordBytes', `must be at least ${MIN_RECORD_BYTES}`);
}
