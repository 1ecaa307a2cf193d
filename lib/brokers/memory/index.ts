export { MemoryBroker, memoryBroker } from './memory.broker.js';
export type { MemoryBrokerOptions, MemoryStoreOptions } from './memory.options.js';
export { MemoryStore } from './memory.store.js';
