import type { RealtimeModuleOptions } from 'nestjs-realtime';
import { redisSink } from 'nestjs-realtime/audit';
import { kafkaBroker } from 'nestjs-realtime/kafka';
import { natsBroker } from 'nestjs-realtime/nats';
import { redisBroker } from 'nestjs-realtime/redis';
import type { BrokerConfig } from './chat.config.js';

/** Enough for a demo. Fixed by the first process: another number needs another topic or name. */
const PARTITIONS = 2;
/** JetStream reserves what streams may take, three times here. */
const MAX_STREAM_BYTES = 64 * 1024 * 1024;

/**
 * What `RealtimeModule` is given for a broker: all that an application writes to run on another one. Redis also keeps the audit, so
 * that each process lists what any of them did.
 */
export function brokerOptions(config: BrokerConfig): Pick<RealtimeModuleOptions, 'broker' | 'audit'> {
  switch (config.kind) {
    case 'memory':
      return {};
    case 'redis': {
      const { url } = config;
      return { broker: () => redisBroker({ url }), audit: { sinks: [redisSink({ url })] } };
    }
    case 'kafka': {
      const { brokers, replicas } = config;
      return {
        broker: () => kafkaBroker({ brokers, topic: 'chat', partitions: PARTITIONS, replicas }),
      };
    }
    case 'nats': {
      const { servers, replicas } = config;
      const bounds = { maxPartitionBytes: MAX_STREAM_BYTES, maxCheckpointBytes: MAX_STREAM_BYTES };
      return {
        broker: () => natsBroker({ servers, name: 'chat', partitions: PARTITIONS, replicas, ...bounds }),
      };
    }
  }
}
