import { DURABILITIES, unmetNeeds } from '../../core/channel/unmet-needs.js';
import type { Broker } from '../../core/ports/broker.js';
import type { ChannelPolicy } from '../../core/ports/channel-definition.js';
import { MAX_EVENT_LENGTH } from '../../protocol/envelope.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { OptionReader } from '../options/option-reader.js';

const OVERFLOWS: readonly ChannelPolicy['overflow'][] = [
  'disconnect',
  'drop-oldest',
  'drop-newest',
  'conflate',
];

const DEFAULT_HISTORY_SIZE = 1_000;
const DEFAULT_HISTORY_TTL_MS = 3_600_000;
const DEFAULT_GRACE_MS = 15_000;
const DEFAULT_MAX_MEMBERS = 200;

/** What the options of a channel are checked against. */
export interface PolicyBounds {
  readonly broker: Pick<Broker, 'name' | 'capabilities'>;
  /** What `welcome` announces: clients repeat a publish for that long. */
  readonly dedupeMs: number;
}

/** The behaviour of a channel with every default filled in, and refused where the broker promises less (G1). */
export function resolvePolicy(options: unknown, path: string, bounds: PolicyBounds, problems: BootProblems) {
  const reader = OptionReader.of(options, path, problems);
  const { broker } = bounds;
  const policy: ChannelPolicy = {
    durability: one(reader, 'durability', DURABILITIES) ?? broker.capabilities.durability,
    ...resolveLog(reader, bounds),
    presence: resolvePresence(reader),
    overflow: one(reader, 'overflow', OVERFLOWS) ?? 'disconnect',
  };
  for (const { option, problem, remedy } of unmetNeeds(policy, broker))
    reader.report(option, problem, remedy);
  const signals = reader.texts('signals') ?? [];
  for (const signal of signals) checkEvent(signal, `${path}.signals`, problems);
  reader.value('expose');
  reader.end();
  return { policy, signals: new Set(signals) };
}

/** Reports an event name that no client could send (P5). */
export function checkEvent(event: unknown, path: string, problems: BootProblems): void {
  if (typeof event === 'string' && event !== '' && event.length <= MAX_EVENT_LENGTH) return;
  problems.add(
    path,
    'the event name is not usable.',
    `Give a string of 1 to ${MAX_EVENT_LENGTH} characters.`,
  );
}

function resolveLog(reader: OptionReader, bounds: PolicyBounds): Pick<ChannelPolicy, 'log' | 'replayLimit'> {
  const dedupeMs = resolveDedupe(reader, bounds);
  if (reader.value('history') === false) {
    return { log: { retain: false, size: 0, ttlMs: 0, dedupeMs }, replayLimit: 0 };
  }
  const history = reader.object('history');
  const size = history.integer('size', DEFAULT_HISTORY_SIZE);
  const log = {
    retain: true,
    size,
    ttlMs: history.duration('ttl', DEFAULT_HISTORY_TTL_MS, { min: 1_000 }),
    dedupeMs,
  };
  const replayLimit = history.integer('replay', size);
  history.end();
  return { log, replayLimit };
}

function resolveDedupe(reader: OptionReader, { broker, dedupeMs }: PolicyBounds): number {
  const given = reader.value('dedupe');
  if (given === false) return 0;
  // Not asked for, not promised.
  if (given === undefined && !broker.capabilities.dedupes) return 0;
  const windowMs = reader.duration('dedupe', dedupeMs, { min: 1 });
  if (windowMs < dedupeMs) {
    reader.report(
      'dedupe',
      `is ${windowMs} ms, but clients repeat a publish for ${dedupeMs} ms (limits.dedupe).`,
      'Make it at least as long, or shorten limits.dedupe.',
    );
  }
  return windowMs;
}

function resolvePresence(reader: OptionReader): ChannelPolicy['presence'] {
  const given = reader.value('presence');
  if (given === undefined || given === false) return false;
  if (given === true) return { graceMs: DEFAULT_GRACE_MS, maxMembers: DEFAULT_MAX_MEMBERS };
  const presence = reader.object('presence');
  const graceMs = presence.duration('grace', DEFAULT_GRACE_MS);
  const maxMembers = presence.integer('maxMembers', DEFAULT_MAX_MEMBERS);
  presence.end();
  return { graceMs, maxMembers };
}

function one<T extends string>(reader: OptionReader, key: string, known: readonly T[]): T | undefined {
  const value = reader.value(key);
  if (value === undefined) return undefined;
  const found = known.find((name) => name === value);
  if (found === undefined)
    reader.report(key, 'is none of the known values.', `Use one of ${known.join(', ')}.`);
  return found;
}
