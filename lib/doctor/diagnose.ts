import { systemClock, type Clock } from '../core/ports/clock.js';
import { DURATION_HINT, toMilliseconds, type Duration } from '../nest/options/duration.js';
import { bootVerdicts } from './checks/start.js';
import type { Facts } from './facts.js';
import { gather } from './gather.js';
import { open, type DoctorTarget, type Opened } from './open.js';
import { bootFindings, checkAccepted, findingsOf, reportOf, type DoctorReport } from './report.js';
import { askStorage } from './storage.js';

/** Options of {@link diagnose}. */
export interface DoctorOptions {
  /** How long the orchestrator waits between SIGTERM and SIGKILL. Default `'30s'`, as Kubernetes has it. */
  readonly grace?: Duration;
  /**
   * Findings that are right for this application, with the reason: by the id of the check, `id/outcome`, or either with `:subject`
   * behind it, such as `channels.read:lobby`. Default: none.
   */
  readonly accept?: Readonly<Record<string, string>>;
  /** Whether warnings fail too. Default `false`. */
  readonly strict?: boolean;
  /** Whether the broker is not asked about its storage. Default `false`. */
  readonly offline?: boolean;
  /** How long the storage of the broker may take to answer. Default `'5s'`. */
  readonly timeout?: Duration;
}

const DEFAULT_GRACE_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Looks at an application as it would run, and answers the check-list of docs/doctor.md from its real options and channels. Of a module
 * it makes the application without starting it: nothing listens, and no hook of start runs. An application that it is given, started
 * or not, stays as it is.
 *
 * What keeps the application from starting is a finding of the check `boot`, and a broker that cannot be reached one of `broker.reach`.
 *
 * @throws RangeError for an option that cannot be.
 * @example
 * it('may go to production', async () => {
 *   const { findings, passed } = await diagnose(AppModule, { accept: { 'channels.read:lobby': 'the lobby is for all members' } });
 *   expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
 *   expect(passed).toBe(true);
 * });
 * @publicApi
 */
export function diagnose(target: DoctorTarget, options: DoctorOptions = {}): Promise<DoctorReport> {
  return examine(target, options, systemClock);
}

/** The same on another clock. */
export async function examine(
  target: DoctorTarget,
  { accept = {}, strict = false, offline = false, grace, timeout }: DoctorOptions,
  clock: Clock,
): Promise<DoctorReport> {
  const graceMs = read('grace', grace, DEFAULT_GRACE_MS);
  const timeoutMs = read('timeout', timeout, DEFAULT_TIMEOUT_MS);
  checkAccepted(accept);
  const report = { accept, strict };
  const looked = await look(target, clock, { offline, timeoutMs });
  if ('error' in looked) return reportOf(bootFindings(bootVerdicts(looked.error)), report);
  return reportOf(findingsOf({ ...looked, graceMs }), report);
}

/** @returns what there is to judge, or why the application does not start. */
async function look(
  target: DoctorTarget,
  clock: Clock,
  storage: Parameters<typeof askStorage>[1],
): Promise<Omit<Facts, 'graceMs'> | { readonly error: unknown }> {
  let opened: Opened | undefined;
  try {
    opened = await open(target, clock);
    const known = await gather(opened.app);
    return { ...known, storage: await askStorage(known.broker, storage, clock) };
  } catch (error) {
    return { error };
  } finally {
    await opened?.close();
  }
}

function read(name: string, given: Duration | undefined, otherwise: number): number {
  const ms = given === undefined ? otherwise : toMilliseconds(given);
  if (ms === undefined || ms === 0) throw new RangeError(`${name}: not a time. ${DURATION_HINT}`);
  return ms;
}
