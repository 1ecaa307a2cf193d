export type { TrustProxy } from '../http/client-address.js';
export type { CompressionOptions } from './compression.js';
export { refusalBody, refusalHeaders } from '../http/refusal.js';
export type { OriginRule } from '../http/origin.js';
export { UpgradeRouter, type UpgradeHandler } from '../http/upgrade-router.js';
export type { WebSocketTransportOptions } from './options.js';
export { WebSocketTransport } from './transport.js';
