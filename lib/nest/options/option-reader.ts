import { isRecord } from '../../protocol/validation/checks.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { DURATION_HINT, toMilliseconds } from './duration.js';
import { suggestion } from './suggestion.js';

/** Bounds of a number. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

/**
 * Reads one object of options. Every key that is read becomes known; {@link end} reports those that are left. A value
 * that is wrong is reported with its path and replaced by the default, so that one run finds every mistake.
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

  /** The raw value of a key that is checked elsewhere. */
  value(key: string): unknown {
    this.known.add(key);
    return this.source[key];
  }

  object(key: string): OptionReader {
    return OptionReader.of(this.value(key), this.pathOf(key), this.problems);
  }

  duration(key: string, fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER }: Range = {}): number {
    const value = this.value(key);
    if (value === undefined) return fallback;
    const milliseconds = toMilliseconds(value);
    if (milliseconds === undefined) {
      this.report(key, `is ${show(value)}, which is not a duration.`, DURATION_HINT);
    } else if (milliseconds < min || milliseconds > max) {
      this.report(key, `is ${show(value)}.`, `Give ${within(`${min} ms`, max, `${max} ms`)}.`);
    } else return milliseconds;
    return fallback;
  }

  integer(key: string, fallback: number, { min = 1, max = Number.MAX_SAFE_INTEGER }: Range = {}): number {
    const value = this.value(key);
    if (value === undefined) return fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    this.report(
      key,
      `is ${show(value)}.`,
      `Give a whole number of ${within(String(min), max, String(max))}.`,
    );
    return fallback;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.value(key);
    if (value === undefined || typeof value === 'boolean') return value ?? fallback;
    this.report(key, `is ${show(value)}.`, 'Give true or false.');
    return fallback;
  }

  text(key: string, { min = 1, max = 256 }: Range = {}): string | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length >= min && value.length <= max) return value;
    // Never the value itself: this reads secrets too (G23).
    this.report(key, 'is not usable.', `Give a string of ${min} to ${max} characters.`);
    return undefined;
  }

  texts(key: string): readonly string[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (
      Array.isArray(value) &&
      value.every((item): item is string => typeof item === 'string' && item !== '')
    ) {
      return value;
    }
    this.report(key, 'is not a list of strings.', 'Give an array of strings.');
    return undefined;
  }

  report(key: string, problem: string, remedy: string): void {
    this.problems.add(this.pathOf(key), problem, remedy);
  }

  /** Reports the keys that nothing read: a mistyped option would else be ignored in silence. */
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

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function within(min: string, max: number, shown: string): string {
  return max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${shown}`;
}
