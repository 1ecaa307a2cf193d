import { readFileSync } from 'node:fs';

/** What /proc counts in: USER_HZ, which is 100 on every platform that Node runs on. */
const MICROS_PER_TICK = 10_000;
const nowMicros = () => Number(process.hrtime.bigint() / 1_000n);

/**
 * CPU that a server has used so far, in microseconds, and when. From outside where the system says it, exact to 10 ms: a
 * server that is far behind would answer only when it is done.
 */
export async function cpuOf({ pid, ask }) {
  let stat;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return ask({ type: 'cpu' });
  }
  // The name in brackets may contain anything; user and system time are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuMicros: ticks * MICROS_PER_TICK, atMicros: nowMicros() };
}
