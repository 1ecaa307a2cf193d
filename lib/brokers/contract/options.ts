/** What may be set for a run of the suite. */
export interface ContractOptions {
  /**
   * Longest time of one test, and of making and disposing its harness, in milliseconds. Raise it for a broker, or a
   * machine, on which tests fail by time-out. Default 20 000.
   */
  readonly timeoutMs?: number;
  /**
   * Longest time that a test waits for an event, a signal or a presence diff to arrive, in milliseconds; reached only
   * where the test fails. Smaller than `timeoutMs`, or the failure says only that time ran out. Default 5 000.
   */
  readonly patienceMs?: number;
  /**
   * Seed of the randomized tests: an integer, of which the lower 32 bits count. The same seed makes the same cases; a
   * failure names it. Another one looks elsewhere. Default 20 261 124.
   */
  readonly seed?: number;
}

/** Options with every default filled in. */
export type ContractSettings = Required<ContractOptions>;

/** @throws RangeError when a value is not what {@link ContractOptions} says; it names the option. */
export function contractSettings(options: ContractOptions): ContractSettings {
  const { timeoutMs = 20_000, patienceMs = 5_000, seed = 20_261_124 } = options;
  if (!(timeoutMs > 0)) throw invalid('timeoutMs', 'a positive number', timeoutMs);
  if (!(patienceMs > 0)) throw invalid('patienceMs', 'a positive number', patienceMs);
  if (!Number.isSafeInteger(seed)) throw invalid('seed', 'an integer', seed);
  return { timeoutMs, patienceMs, seed };
}

function invalid(option: keyof ContractOptions, wanted: string, value: number): RangeError {
  return new RangeError(`describeBrokerContract: \`${option}\` must be ${wanted}, not ${String(value)}.`);
}
