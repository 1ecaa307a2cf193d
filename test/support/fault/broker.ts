import type { KafkaBrokerOptions } from '../../../lib/brokers/kafka/index.js';
import type { NatsBrokerOptions } from '../../../lib/brokers/nats/index.js';
import type { RedisBrokerOptions } from '../../../lib/brokers/redis/index.js';

/** What cannot travel to another process. */
type Local = 'client' | 'clock' | 'entropy' | 'onWarning';

/** Options of the broker that can travel to another process. */
export type FaultRedisOptions = Omit<RedisBrokerOptions, Local>;

/** The broker of a node, by its kind. */
export type FaultBroker =
  | { readonly redis: FaultRedisOptions }
  | { readonly kafka: Omit<KafkaBrokerOptions, Local> }
  | { readonly nats: Omit<NatsBrokerOptions, Local> };
