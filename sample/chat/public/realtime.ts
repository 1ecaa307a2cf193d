import type * as ClientModule from 'nestjs-realtime/client';

// With a bundler this file is one line: export { RealtimeClient, RealtimeError } from 'nestjs-realtime/client';
// This page has no bundler: it loads the same ES modules from the server.
const url = '/assets/realtime/client/index.js';

export const { RealtimeClient, RealtimeError } = (await import(url)) as typeof ClientModule;
