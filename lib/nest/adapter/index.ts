export { RealtimeWsAdapter, type RealtimeWsAdapterOptions } from './realtime-ws.adapter.js';
