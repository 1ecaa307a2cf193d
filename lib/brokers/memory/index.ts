export { MemoryBroker, memoryBroker } from './broker.js';
export type { MemoryBrokerOptions, MemoryStoreOptions } from './options.js';
export { MemoryStore } from './store.js';
