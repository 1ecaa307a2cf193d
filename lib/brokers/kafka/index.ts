export { kafkaBroker, type KafkaBrokerOptions } from './broker.js';
export type { KafkaLogOptions, KafkaSasl } from './options.js';
export type { ReplicatedBroker } from '../replicated/broker.js';
export type { ReplicatedOptions } from '../replicated/settings.js';
