import type * as ClientModule from 'nestjs-realtime/client';
import type * as HttpModule from 'nestjs-realtime/client/http';

// With a bundler this file is two lines: export { RealtimeClient, RealtimeError } from 'nestjs-realtime/client';
// and export { httpFallback } from 'nestjs-realtime/client/http';
// This page has no bundler: it loads the same ES modules from the server.
const load = (file: string): Promise<unknown> => import(`/assets/realtime/client/${file}`);

export const { RealtimeClient, RealtimeError } = (await load('index.js')) as typeof ClientModule;
export const { httpFallback } = (await load('http.js')) as typeof HttpModule;
