import { withoutUserinfo } from '../core/ports/log-text.js';
import type { Facts } from './facts.js';

/**
 * How much a finding matters: `ok`; `advice`, which many applications rightly do without; `warning`, which a production system should not
 * have without a reason; `error`, which must not go to production.
 */
export type DoctorLevel = 'ok' | 'advice' | 'warning' | 'error';

/** One answer that a check may have. Braces hold values of the application. */
export interface CheckOutcome {
  readonly level: DoctorLevel;
  readonly finding: string;
  /** What to do; every outcome but `ok` has one. */
  readonly remedy?: string;
}

/** What a check found in an application. */
export interface Verdict<Name extends string = string> {
  readonly outcome: Name;
  /** What it is about, where the check looks at several: the pattern of a channel, the path of an option. */
  readonly subject?: string;
  /** Where the documents explain it, below docs/, where that is another place than the check has. */
  readonly see?: string;
  /** The values for the braces of the outcome. */
  readonly values?: Readonly<Record<string, string | number>>;
}

/** One row of the check-list. docs/doctor.md is made from the rows. */
export interface Check {
  /** For `--accept`, and for programs. */
  readonly id: string;
  readonly title: string;
  /** The question. */
  readonly asks: string;
  /** Where the documents explain it, below docs/. */
  readonly see: string;
  /** Whether it is about clients that connect: an application that only publishes is not asked. */
  readonly clients: boolean;
  readonly outcomes: Readonly<Record<string, CheckOutcome>>;
  judge(facts: Facts): readonly Verdict[];
}

/** A row whose judge names no outcome that the row does not have. */
export function check<const Name extends string>(
  row: Omit<Check, 'clients' | 'judge' | 'outcomes'> & {
    readonly clients?: boolean;
    readonly outcomes: Readonly<Record<Name, CheckOutcome>>;
    judge(facts: Facts): readonly Verdict<NoInfer<Name>>[];
  },
): Check {
  return { clients: true, ...row };
}

/** One answer of the check-list. */
export interface DoctorFinding {
  /** Id of the check, for `accept`. */
  readonly id: string;
  /** Which of the answers of the check it is. */
  readonly outcome: string;
  /** What it is about, where the check looks at several: the pattern of a channel, the path of an option. */
  readonly subject?: string;
  /** How much it matters. */
  readonly level: DoctorLevel;
  /** What was found. */
  readonly finding: string;
  /** What to do. Absent where it is `ok`. */
  readonly remedy?: string;
  /** Where the documents explain it. */
  readonly see: string;
  /** Why it is accepted, where it is: it then fails nothing. */
  readonly accepted?: string;
}

/** Puts the values of a verdict into its outcome. */
export function findingOf(
  { id, outcomes, see: usual }: Check,
  { outcome, subject, see = usual, values = {} }: Verdict,
) {
  const found = outcomes[outcome];
  if (found === undefined) throw new Error(`The check ${id} has no outcome ${outcome}`);
  const fill = (text: string): string =>
    withoutUserinfo(text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? `{${name}}`)));
  const finding: DoctorFinding = {
    id,
    outcome,
    ...(subject === undefined ? {} : { subject }),
    level: found.level,
    finding: fill(found.finding),
    ...(found.remedy === undefined ? {} : { remedy: fill(found.remedy) }),
    see: `docs/${see}`,
  };
  return finding;
}
