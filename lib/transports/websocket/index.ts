export type { TrustProxy } from '../http/client-address.js';
export type { OriginRule } from '../http/origin.js';
export { refusalBody, refusalHeaders } from '../http/refusal.js';
export type { CompressionOptions, WebSocketTransportOptions } from './options.js';
export { WebSocketTransport } from './transport.js';
