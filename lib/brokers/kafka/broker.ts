import { ReplicatedBroker } from '../replicated/broker.js';
import type { ReplicatedOptions } from '../replicated/settings.js';
import { openKafkaLog } from './log.js';
import { kafkaSettings, type KafkaLogOptions } from './options.js';

/** Options of {@link kafkaBroker}. */
export interface KafkaBrokerOptions extends KafkaLogOptions, ReplicatedOptions {}

/**
 * Makes a broker on Kafka, which several nodes share: every node reads all records of a topic and computes the same state from them, with
 * dense numbers, dedupe, presence and revokes that Kafka itself does not have. Needs the package `@platformatic/kafka`.
 *
 * An acknowledged event survives every node, and as many brokers of Kafka as `minInsyncReplicas` less one (G1).
 *
 * @example broker: kafkaBroker({ brokers: ['kafka-1:9092', 'kafka-2:9092'] })
 * @example broker: kafkaBroker({ brokers: 'kafka:9093', tls: {}, sasl: { mechanism: 'SCRAM-SHA-512', username, password } })
 * @throws RangeError for an option that cannot be; it names the option and the remedy.
 */
export function kafkaBroker(options: KafkaBrokerOptions): ReplicatedBroker {
  const { minInsyncReplicas, partitions } = kafkaSettings(options);
  return new ReplicatedBroker(
    {
      name: 'kafka',
      durability: minInsyncReplicas >= 2 ? 'replicated' : 'broker',
      partitions,
      open: (deps) => openKafkaLog(options, deps),
    },
    options,
  );
}
