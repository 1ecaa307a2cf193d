import type { RealtimeConsumer } from '../../core/ports/consumers.js';
import type { OptionReader } from './option-reader.js';

/** The consumers of the application. */
export function resolveConsumers(reader: OptionReader): readonly RealtimeConsumer[] {
  const consumers =
    reader.checked(
      'consumers',
      isConsumers,
      'is not a list of consumers.',
      'Give what fromKafka(), fromJetStream() and fromRedisStreams() make.',
    ) ?? [];
  const shared = sharedPlace(consumers);
  if (shared !== undefined) {
    reader.report('consumers', shared, 'Give each a `groupId`, `durable` or `group` of its own.');
    return consumers;
  }
  const names = consumers.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    reader.report('consumers', `has two of the name "${twice}".`, 'Give each a `name` of its own.');
  return consumers;
}

/** What is wrong where two consumers read the same for one group, whatever their names; each would see a part of the records. */
function sharedPlace(consumers: readonly RealtimeConsumer[]): string | undefined {
  const all = consumers.flatMap((by) => (by.reads ?? []).map(({ server, what }) => ({ by, server, what })));
  for (const { by, server, what } of all) {
    const other = all.find((one) => one.by !== by && one.server === server && one.what === what)?.by;
    if (other !== undefined) return `has two that read ${what}: "${by.name}" and "${other.name}".`;
  }
  return undefined;
}

function isConsumers(value: unknown): value is readonly RealtimeConsumer[] {
  return Array.isArray(value) && value.every(isConsumer);
}

function isConsumer(value: unknown): value is RealtimeConsumer {
  const { name, open } = (value ?? {}) as Partial<RealtimeConsumer>;
  return typeof name === 'string' && typeof open === 'function';
}
