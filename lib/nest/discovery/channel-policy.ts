import { shortfallsOf } from '../../core/channel/capabilities.js';
import type { Broker } from '../../core/ports/broker.js';
import type { ChannelPolicy } from '../../core/ports/channel-definition.js';
import { defaultsOf, duration, integer } from '../../core/ports/settings-defaults.js';
import { MAX_EVENT_LENGTH } from '../../protocol/envelope.js';
import { isRecord } from '../../protocol/validation/checks.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { reportTooOften } from '../options/recheck.js';
import { OptionReader } from '../options/option-reader.js';
import { CHANNEL_TABLE } from '../options/option-table.js';

/** What the options of a channel are checked against. */
export interface PolicyBounds {
  readonly broker: Broker;
  /** How long clients may repeat a publish, as `welcome` announces it. */
  readonly dedupeMs: number;
}

/** Reads the options of a channel, fills in every default, and reports what the broker does not offer. */
export function resolvePolicy(options: unknown, path: string, bounds: PolicyBounds, problems: BootProblems) {
  const reader = OptionReader.of(options, path, problems);
  const { broker } = bounds;
  const recheckMs = reader.one('recheck', CHANNEL_TABLE.recheck);
  reportTooOften(reader, recheckMs);
  const policy: ChannelPolicy = {
    durability: reader.one('durability', CHANNEL_TABLE.durability) ?? broker.capabilities.durability,
    ...resolveLog(reader, bounds),
    presence: resolvePresence(reader),
    overflow: reader.one('overflow', CHANNEL_TABLE.overflow),
    priority: reader.one('priority', CHANNEL_TABLE.priority),
    ...(recheckMs === undefined ? {} : { recheckMs }),
  };
  for (const { option, problem, remedy } of shortfallsOf(policy, broker))
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
  if (reader.value('history') === false)
    return { log: { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs }, replayLimit: 0 };
  const history = reader.object('history');
  const { size, maxBytes, ttlMs } = history.all(CHANNEL_TABLE.history);
  const replayLimit = history.one('replay', integer(size));
  history.end();
  return { log: { retain: true, size, maxBytes, ttlMs, dedupeMs }, replayLimit };
}

function resolveDedupe(reader: OptionReader, { broker, dedupeMs }: PolicyBounds): number {
  const given = reader.value('dedupe');
  // A broker that does not dedupe is only refused where the channel asks for it.
  if (given === false || (given === undefined && !broker.capabilities.dedupes)) return 0;
  const windowMs = reader.one('dedupe', duration(dedupeMs, { min: 1 }));
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
  if (given === true) return defaultsOf(CHANNEL_TABLE.presence);
  if (!isRecord(given)) {
    reader.report('presence', 'is neither true, false nor an object.', 'Give one of them, or leave it out.');
    return false;
  }
  return reader.group('presence', CHANNEL_TABLE.presence);
}
