export const CHANNEL = 'bench.durability';

/** Milliseconds of the system's monotonic clock, which all processes share. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
