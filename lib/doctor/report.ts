import { findingOf, type Check, type DoctorFinding, type DoctorLevel, type Verdict } from './check.js';
import { CHECKS } from './checks/index.js';
import { boot } from './checks/start.js';
import type { Facts } from './facts.js';

/** What the doctor found. */
export interface DoctorReport {
  /** Whether it may go to production: no error is left that is not accepted, and with `strict` no warning. */
  readonly passed: boolean;
  /** One or more for each check, in the order of docs/doctor.md. */
  readonly findings: readonly DoctorFinding[];
  /** How many findings there are of each level, and of how many the reason is accepted; those count there alone. */
  readonly counts: Readonly<Record<DoctorLevel | 'accepted', number>>;
  /** Keys of `accept` that accept nothing, as what they name was not found: remove them. */
  readonly unused: readonly string[];
}

/** What is accepted, and how strict the verdict is. */
export interface ReportOptions {
  readonly accept: Readonly<Record<string, string>>;
  readonly strict: boolean;
}

/** @throws RangeError for a key that no finding can have, and for a reason that is empty. */
export function checkAccepted(accept: Readonly<Record<string, string>>): void {
  for (const [key, reason] of Object.entries(accept)) {
    const [, id = '', outcome] = /^([\w.-]+)(?:\/(\w+))?(?::.+)?$/.exec(key) ?? [];
    const row = CHECKS.find((check) => check.id === id);
    if (row === undefined || (outcome !== undefined && !Object.hasOwn(row.outcomes, outcome)))
      throw new RangeError(
        `accept: there is no check "${key}". The ids are in the table of the doctor, and in docs/doctor.md.`,
      );
    if (row === boot)
      throw new RangeError(
        'accept: "boot" cannot be accepted, as an application that does not start is of no use.',
      );
    if (reason.trim() === '')
      throw new RangeError(
        `accept: "${key}" has no reason. Say why it is right for this application: ${key}=reason.`,
      );
  }
}

/** Asks every check. */
export function findingsOf(facts: Facts): readonly DoctorFinding[] {
  return CHECKS.filter(({ clients }) => facts.attaches || !clients).flatMap((row) =>
    fill(row, row.judge(facts)),
  );
}

/** Of an application that does not start. */
export function bootFindings(verdicts: readonly Verdict[]): readonly DoctorFinding[] {
  return fill(boot, verdicts);
}

function fill(row: Check, verdicts: readonly Verdict[]): readonly DoctorFinding[] {
  return verdicts.map((verdict) => findingOf(row, verdict));
}

/** Marks what is accepted, counts, and decides. */
export function reportOf(found: readonly DoctorFinding[], { accept, strict }: ReportOptions): DoctorReport {
  const used = new Set<string>();
  const findings = found.map((finding) => {
    const key =
      finding.level === 'ok' ? undefined : keysOf(finding).find((one) => Object.hasOwn(accept, one));
    if (key === undefined) return finding;
    used.add(key);
    return { ...finding, accepted: accept[key] ?? '' };
  });
  const counts = { ok: 0, advice: 0, warning: 0, error: 0, accepted: 0 };
  for (const { level, accepted } of findings) counts[accepted === undefined ? level : 'accepted'] += 1;
  return {
    passed: counts.error === 0 && !(strict && counts.warning > 0),
    findings,
    counts,
    unused: Object.keys(accept).filter((key) => !used.has(key)),
  };
}

/** What a finding may be accepted by: the narrowest first. */
function keysOf({ id, outcome, subject }: DoctorFinding): readonly string[] {
  const keys = [`${id}/${outcome}`, id];
  return subject === undefined ? keys : [...keys.map((key) => `${key}:${subject}`), ...keys];
}
