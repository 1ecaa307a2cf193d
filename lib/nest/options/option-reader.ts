import {
  isSetting,
  valueName,
  type Setting,
  type SettingGroup,
  type SettingKind,
  type ValuesOf,
} from '../../core/ports/settings-defaults.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { suggestion } from '../../protocol/validation/suggestion.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { DURATION_HINT, toMilliseconds } from './duration.js';

/**
 * Reads one object of options. Every key that is read becomes known; {@link end} reports the others. A wrong value is
 * reported with its path and replaced by the default, so that one start finds every mistake.
 */
export class OptionReader {
  private readonly known = new Set<string>();

  private constructor(
    private readonly source: Readonly<Record<string, unknown>>,
    private readonly path: string,
    private readonly problems: BootProblems,
  ) {}

  static of(source: unknown, path: string, problems: BootProblems): OptionReader {
    if (source !== undefined && !isRecord(source)) {
      problems.add(
        path === '' ? 'options' : path,
        'is not an object.',
        'Give an object, or leave it out for the defaults.',
      );
    }
    return new OptionReader(isRecord(source) ? source : {}, path, problems);
  }

  /** The raw value of a key, for a check of the caller. */
  value(key: string): unknown {
    this.known.add(key);
    return this.source[key];
  }

  object(key: string): OptionReader {
    return OptionReader.of(this.value(key), this.pathOf(key), this.problems);
  }

  /** All values of a table, nested ones included. */
  all<Group extends SettingGroup>(table: Group): ValuesOf<Group> {
    const values = Object.entries(table).map(([key, entry]) =>
      isSetting(entry) ? [valueName(key, entry), this.one(key, entry)] : [key, this.group(key, entry)],
    );
    return Object.fromEntries(values) as ValuesOf<Group>;
  }

  /** All values of a nested object, which has no other options. */
  group<Group extends SettingGroup>(key: string, table: Group): ValuesOf<Group> {
    const reader = this.object(key);
    const values = reader.all(table);
    reader.end();
    return values;
  }

  /** The value of one option; its default where it is left out, or wrong. */
  one<Value>(key: string, setting: Setting<SettingKind, Value>): Value {
    const given = this.value(key);
    if (given === undefined) return setting.default;
    const refused = refusal(given, setting);
    if (refused === undefined) return (setting.kind === 'duration' ? toMilliseconds(given) : given) as Value;
    this.report(key, ...refused);
    return setting.default;
  }

  /** The value of an option that `isValid` accepts; `undefined` where it is left out, or wrong. */
  checked<Value>(
    key: string,
    isValid: (value: unknown) => value is Value,
    problem: string,
    remedy: string,
  ): Value | undefined {
    const value = this.value(key);
    if (value === undefined || isValid(value)) return value;
    this.report(key, problem, remedy);
    return undefined;
  }

  texts(key: string): readonly string[] | undefined {
    return this.checked(key, isTexts, 'is not a list of strings.', 'Give an array of strings.');
  }

  report(key: string, problem: string, remedy: string): void {
    this.problems.add(this.pathOf(key), problem, remedy);
  }

  /** Reports the keys that nothing read, which are mistyped options. */
  end(): void {
    for (const key of Object.keys(this.source)) {
      if (this.known.has(key)) continue;
      const meant = suggestion(key, [...this.known]);
      const remedy =
        meant === undefined ? `Known here: ${[...this.known].join(', ')}.` : `Did you mean "${meant}"?`;
      this.report(key, 'is not an option.', remedy);
    }
  }

  private pathOf(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

/** Problem and remedy of a value that an option does not take; `undefined` where it does. */
function refusal(
  given: unknown,
  { kind, min, max, hint, choices = [] }: Setting,
): [string, string] | undefined {
  const isWithin = (value: number): boolean => value >= min && value <= max;
  switch (kind) {
    case 'duration': {
      const milliseconds = toMilliseconds(given);
      if (milliseconds === undefined) return [`is ${show(given)}, which is not a duration.`, DURATION_HINT];
      if (isWithin(milliseconds)) return undefined;
      return [`is ${show(given)}.`, `Give ${within(`${min} ms`, max, `${max} ms`)}.`];
    }
    case 'integer':
      if (Number.isSafeInteger(given) && isWithin(given as number)) return undefined;
      return [
        `is ${show(given)}.`,
        `Give a whole number of ${within(String(min), max, String(max))}${hint === undefined ? '' : `: ${hint}`}.`,
      ];
    case 'text':
      if (typeof given === 'string' && isWithin(given.length)) return undefined;
      return [
        // Never shows the value, which may be a secret (G23).
        typeof given === 'string' ? `has ${given.length} characters.` : `is a value of type ${typeof given}.`,
        `Give a string of ${min} to ${max} characters${hint === undefined ? '' : `: ${hint}`}.`,
      ];
    case 'flag':
      return typeof given === 'boolean' ? undefined : [`is ${show(given)}.`, 'Give true or false.'];
    case 'choice':
      if (choices.includes(given as string)) return undefined;
      return ['is none of the known values.', `Use one of ${choices.join(', ')}.`];
  }
}

/** Whether a value is a list of texts, none of them empty. */
export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
}

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function within(min: string, max: number, shown: string): string {
  return max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${shown}`;
}
