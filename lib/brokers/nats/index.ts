export { natsBroker, type NatsBrokerOptions } from './broker.js';
export type { NatsLogOptions, NatsTls } from './options.js';
export type { ReplicatedBroker } from '../replicated/broker.js';
export type { ReplicatedOptions } from '../replicated/settings.js';
export { fromJetStream, type FromJetStreamOptions } from './consume/from-jetstream.js';
export type { JetStreamRecord } from './consume/record.js';
export type { ConsumeOptions, DeadRecord } from '../../consumers/index.js';
export type { ConsumedEvent, RealtimeConsumer } from '../../core/ports/consumers.js';
