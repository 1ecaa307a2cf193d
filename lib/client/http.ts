// Its own entry point, so that a client that uses WebSocket alone does not carry the other transports.
export { httpFallback, type HttpFallbackOptions } from './http/fallback.js';
export type { HttpFetch, HttpRequest, HttpResponse } from './http/request.js';
export type { TransportStore } from './http/memory.js';
