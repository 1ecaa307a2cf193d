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
  const names = consumers.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    reader.report('consumers', `has two of the name "${twice}".`, 'Give each a `name` of its own.');
  return consumers;
}

function isConsumers(value: unknown): value is readonly RealtimeConsumer[] {
  return Array.isArray(value) && value.every(isConsumer);
}

function isConsumer(value: unknown): value is RealtimeConsumer {
  const { name, open } = (value ?? {}) as Partial<RealtimeConsumer>;
  return typeof name === 'string' && typeof open === 'function';
}
