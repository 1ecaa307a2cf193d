export type { HttpSessionTransportOptions } from './options.js';
export { HttpSessionTransport } from './transport.js';
