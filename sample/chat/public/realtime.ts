import type * as ClientModule from 'nestjs-realtime/client';

// With a bundler this file is one line: export { RealtimeClient, RealtimeError } from 'nestjs-realtime/client';
// This page has none. The server serves the same ES modules, and the page takes them from there.
const url = '/assets/realtime/client/index.js';

export const { RealtimeClient, RealtimeError } = (await import(url)) as typeof ClientModule;
