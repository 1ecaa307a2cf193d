export { kafkaBroker, type KafkaBrokerOptions } from './broker.js';
export type { KafkaLogOptions, KafkaSasl } from './options.js';
export type { ReplicatedBroker } from '../replicated/broker.js';
export type { ReplicatedOptions } from '../replicated/settings.js';
export { fromKafka, type FromKafkaOptions } from './consume/from-kafka.js';
export type { KafkaTopicRecord } from './consume/record.js';
export type { ConsumeOptions, DeadRecord } from '../../consumers/index.js';
export type { ConsumedEvent, RealtimeConsumer } from '../../core/ports/consumers.js';
