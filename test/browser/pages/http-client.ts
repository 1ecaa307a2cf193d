// The client with its other transports, as a page that bundles both has it.
export * from '../../../lib/client/index.js';
export * from '../../../lib/client/http.js';
