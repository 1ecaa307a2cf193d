import type { ConsumedEvent } from '../core/ports/consumers.js';
import { isRecord } from '../protocol/validation/checks.js';
import { optionErrorOf, type OptionError } from '../protocol/validation/option-error.js';
import { suggestion } from '../protocol/validation/suggestion.js';

/** A record that cannot be published: as it is, it never can be. */
export interface DeadRecord<Raw> {
  /** As `to` was given it. */
  readonly record: Raw;
  /** Where it stands: source, partition and offset. */
  readonly place: string;
  /** What `to` threw, or the `RealtimeError` of the publish. */
  readonly error: unknown;
}

/** Options of every consumer. */
export interface ConsumeOptions<Raw> {
  /**
   * Makes the event of a record; `null` where it is none. It may return a promise. The same record must give the same event: it is
   * called once more for those that a node had not committed when it ended. What it throws is a dead letter, but a `RealtimeError`
   * that is `retryable`, such as `new RealtimeError('unavailable')` while a database is away: then it is called again.
   */
  readonly to: (record: Raw) => ConsumedEvent | null | Promise<ConsumedEvent | null>;
  /**
   * What becomes of a record that cannot be published: `to` throws, no `@Channel` has the name, the event is too large. `'stop'`: it
   * and all behind it in its partition wait, so that nothing is lost and the order stays; the log and the health check say so, and
   * a start of the application that can publish it continues there. `'skip'`: it is counted, one place in 10 s is logged, and the next one is read. A
   * function is given it, such as to write it to a topic of dead letters: at least once, until it returns. Default `'stop'`.
   */
  readonly deadLetter?: 'stop' | 'skip' | ((dead: DeadRecord<Raw>) => void | Promise<void>) | undefined;
  /** Most records of a partition that are published together, 1 to 10 000. Default 500. */
  readonly maxBatch?: number | undefined;
  /** Most bytes of records of a partition that are read together, at least 1 KiB; a larger record comes alone. Default 1 MiB. */
  readonly maxBatchBytes?: number | undefined;
  /**
   * How long a node may be silent before others read what it read, in milliseconds, 1 000 to 300 000: so long a partition waits after its
   * node was killed. Of Kafka it has to be within `group.min.session.timeout.ms` and `group.max.session.timeout.ms` of the brokers, 6 s
   * and 30 min. Default 10 000.
   */
  readonly takeOverMs?: number | undefined;
  /** Name of the consumer in logs, metrics and health. Default: of the source, and what it reads. */
  readonly name?: string | undefined;
}

/** {@link ConsumeOptions} with everything filled in. */
export interface ConsumeSettings<Raw> {
  readonly name: string;
  readonly to: ConsumeOptions<Raw>['to'];
  readonly deadLetter: NonNullable<ConsumeOptions<Raw>['deadLetter']>;
  readonly maxBatch: number;
  readonly maxBatchBytes: number;
  readonly takeOverMs: number;
}

const MIN_TAKE_OVER_MS = 1_000;
const MAX_TAKE_OVER_MS = 300_000;
const DEFAULT_TAKE_OVER_MS = 10_000;
const MAX_BATCH = 10_000;
const DEFAULT_BATCH = 500;
const MIN_BATCH_BYTES = 1_024;
const DEFAULT_BATCH_BYTES = 1_048_576;
const MAX_NAME = 128;

const COMMON: Readonly<Record<keyof ConsumeOptions<unknown>, true>> = {
  to: true,
  deadLetter: true,
  maxBatch: true,
  maxBatchBytes: true,
  takeOverMs: true,
  name: true,
};

/** What an option of a source is: text, one or several texts, or something else, which its reader checks. */
interface OwnOption {
  readonly kind?: 'text' | 'texts';
  /** What to give where it is missing; `undefined`: it may be left out. */
  readonly required?: string;
}

/** The options of a source, by their names. */
export type OwnOptions<Options> = Readonly<Record<Exclude<keyof Options, keyof typeof COMMON>, OwnOption>>;

/**
 * Refuses what no reader of single options finds: no options at all, a name that is mistyped, and what is missing.
 *
 * @param caller the function that the application called, for errors.
 * @throws TypeError without options, RangeError that names the option and the remedy
 */
export function assertOptions(
  options: unknown,
  caller: string,
  own: Readonly<Record<string, OwnOption>>,
): void {
  const all = Object.entries(own);
  if (!isRecord(options)) {
    const needed = [...all.flatMap(([name, { required }]) => (required === undefined ? [] : [name])), 'to'];
    throw new TypeError(`${caller}: its options are missing. Give { ${needed.join(', ')} }.`);
  }
  const known = [...Object.keys(own), ...Object.keys(COMMON)];
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = suggestion(name, known);
    const remedy = meant === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean "${meant}"?`;
    throw new RangeError(`${caller}: \`${name}\` is not an option. ${remedy}`);
  }
  for (const [name, { kind, required }] of all) {
    const value = options[name];
    if (required !== undefined && value == null)
      throw new RangeError(`${caller}: \`${name}\` is missing. ${required}.`);
    if (value === undefined) continue;
    const isText = typeof value === 'string';
    if (kind === 'text' && !isText) throw new RangeError(`${caller}: \`${name}\` must be text.`);
    const areTexts = Array.isArray(value) && value.every((each) => typeof each === 'string');
    if (kind === 'texts' && !isText && !areTexts)
      throw new RangeError(`${caller}: \`${name}\` must be text, or a list of texts.`);
  }
}

/** @throws RangeError that names the option and the remedy */
export function assertBeginning(from: string, optionError: OptionError): void {
  if (!['first', 'next'].includes(from)) throw optionError('from', 'must be "first" or "next"');
}

/**
 * @param caller the function that the application called, for errors.
 * @param name the one where the application gives none; cut to what a name may have.
 * @throws RangeError that names the option and the remedy
 */
export function consumeSettings<Raw>(
  options: ConsumeOptions<Raw>,
  caller: string,
  name: string,
): ConsumeSettings<Raw> {
  const { to, deadLetter = 'stop', maxBatch = DEFAULT_BATCH, maxBatchBytes = DEFAULT_BATCH_BYTES } = options;
  const { takeOverMs = DEFAULT_TAKE_OVER_MS } = options;
  const optionError = optionErrorOf(caller);
  const settings = {
    name: options.name ?? name.slice(0, MAX_NAME),
    to,
    deadLetter,
    maxBatch,
    maxBatchBytes,
    takeOverMs,
  };
  if (typeof to !== 'function')
    throw optionError(
      'to',
      'is no function. Give one that makes { channel, event, payload } of a record, or null',
    );
  if (typeof deadLetter !== 'function' && !['stop', 'skip'].includes(deadLetter))
    throw optionError('deadLetter', 'must be "stop", "skip" or a function');
  if (!(Number.isSafeInteger(maxBatch) && maxBatch >= 1 && maxBatch <= MAX_BATCH))
    throw optionError('maxBatch', `must be a whole number of 1 to ${MAX_BATCH}`);
  if (!(Number.isSafeInteger(maxBatchBytes) && maxBatchBytes >= MIN_BATCH_BYTES))
    throw optionError('maxBatchBytes', `must be a whole number of at least ${MIN_BATCH_BYTES}`);
  if (!(Number.isSafeInteger(takeOverMs) && takeOverMs >= MIN_TAKE_OVER_MS && takeOverMs <= MAX_TAKE_OVER_MS))
    throw optionError('takeOverMs', `must be a whole number of ${MIN_TAKE_OVER_MS} to ${MAX_TAKE_OVER_MS}`);
  if (
    typeof settings.name !== 'string' ||
    !/^[^\p{C}]+$/u.test(settings.name) ||
    settings.name.length > MAX_NAME
  )
    throw optionError('name', `must have 1 to ${MAX_NAME} characters that print`);
  return settings;
}
