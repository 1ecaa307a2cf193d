export type { TrustProxy } from './client-address.js';
export type { CompressionOptions } from './compression.js';
export { refusalBody, refusalHeaders } from './http-refusal.js';
export type { OriginRule } from './origin.js';
export { UpgradeRouter, type UpgradeHandler } from './upgrade-router.js';
export type { WebSocketTransportOptions } from './websocket.options.js';
export { WebSocketTransport } from './websocket.transport.js';
