export type { SseTransportOptions } from './options.js';
export { SseTransport, type ServedFeed } from './transport.js';
