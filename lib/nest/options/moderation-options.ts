import { ChannelSet } from '../../core/channel/channel-set.js';
import type { IsExempt } from '../../core/ports/settings.js';
import type { SpamDetector, SpamPolicy, SpamStep } from '../../core/ports/spam.js';
import { DURATION_HINT, toMilliseconds } from './duration.js';
import type { OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';

/** Longest time between two publishes of slow mode. */
const MAX_EVERY_MS = 86_400_000;
const STEPS: readonly SpamStep[] = [
  { step: 'warn' },
  { step: 'slow', everyMs: 10_000, forMs: 600_000 },
  { step: 'mute', forMs: 600_000 },
  { step: 'ban', forMs: 3_600_000 },
];
const STEPS_HINT = `Give steps such as { step: 'warn' }, { step: 'slow', every: '10s', for: '10m' }, { step: 'mute', for: '1h' }, { step: 'ban', for: '1d' }. ${DURATION_HINT}`;

/** Options of moderation, after validation. */
export interface ModerationConfig {
  readonly isExempt: IsExempt | undefined;
  readonly spam: SpamPolicy | undefined;
}

/** Reads `moderation`. */
export function resolveModeration(reader: OptionReader): ModerationConfig {
  const isExempt = reader.checked(
    'isExempt',
    isExemption,
    'is not a function.',
    'Give a function that returns true for users that slow mode and the detector of spam leave alone.',
  );
  const spam = reader.value('spam') === undefined ? undefined : resolveSpam(reader.object('spam'));
  reader.end();
  return { isExempt, spam };
}

function resolveSpam(reader: OptionReader): SpamPolicy | undefined {
  const { decayMs, onFailure } = reader.all(MODULE_TABLE.moderation.spam);
  const detector = reader.value('detector');
  if (!isDetector(detector))
    reader.report(
      'detector',
      'is not a detector.',
      'Give repeatsAndBursts() of nestjs-realtime/moderation, or an object with a judge() method.',
    );
  const channels = reader.checked(
    'channels',
    isChannels,
    'is not a list of channels.',
    'Give at least one name or pattern, such as ["rooms.:room"], or leave it out for all.',
  );
  const given = reader.value('steps');
  const steps = given === undefined ? STEPS : stepsOf(given);
  if (steps === undefined) reader.report('steps', 'is not a list of steps.', STEPS_HINT);
  reader.end();
  if (!isDetector(detector) || steps === undefined) return undefined;
  return { detector, channels, steps, decayMs, onFailure };
}

/** @returns `undefined` for what is no list of steps. */
function stepsOf(given: unknown): readonly SpamStep[] | undefined {
  if (!Array.isArray(given) || given.length === 0) return undefined;
  const steps = given.map(stepOf);
  return steps.every((step) => step !== undefined) ? steps : undefined;
}

function stepOf(given: unknown): SpamStep | undefined {
  const { step, every, for: duration, ...others } = (given ?? {}) as Record<string, unknown>;
  if (Object.keys(others).length > 0) return undefined;
  const forMs = toMilliseconds(duration);
  const everyMs = toMilliseconds(every);
  if (step === 'warn') return duration === undefined && every === undefined ? { step } : undefined;
  if (forMs === undefined || forMs < 1) return undefined;
  if (step === 'slow')
    return everyMs !== undefined && everyMs >= 1 && everyMs <= MAX_EVERY_MS
      ? { step, everyMs, forMs }
      : undefined;
  return (step === 'mute' || step === 'ban') && every === undefined ? { step, forMs } : undefined;
}

function isDetector(value: unknown): value is SpamDetector {
  return typeof (value as Partial<SpamDetector> | null | undefined)?.judge === 'function';
}

function isChannels(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isChannelSet);
}

function isChannelSet(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  try {
    ChannelSet.parse(value);
    return true;
  } catch {
    return false;
  }
}

function isExemption(value: unknown): value is IsExempt {
  return typeof value === 'function';
}
