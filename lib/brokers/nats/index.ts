export { natsBroker, type NatsBrokerOptions } from './broker.js';
export type { NatsLogOptions, NatsTls } from './options.js';
export type { ReplicatedBroker } from '../replicated/broker.js';
export type { ReplicatedOptions } from '../replicated/settings.js';
