import { fileURLToPath } from 'node:url';
import { libraryClient } from './clients/library.mjs';
import { socketIoClient } from './clients/socket-io.mjs';

const script = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const library = (transport, more = {}) => ({
  script: script('library'),
  join: libraryClient(transport),
  settings: {},
  nodes: 1,
  // A session by polls outlives its connections: the client makes the request again, and no attempt begins.
  isBackWith: transport === 'polling' ? 'connection' : 'attempt',
  ...more,
});
const socketIo = (recovery, more = {}) => ({
  script: script('socket-io'),
  join: socketIoClient({ retries: recovery }),
  settings: { recovery },
  nodes: 1,
  isBackWith: 'attempt',
  ...more,
});

/** Over one node. */
export const single = [
  { name: 'nestjs-realtime, WebSocket', ...library('websocket') },
  { name: 'nestjs-realtime, SSE session', ...library('sse') },
  { name: 'nestjs-realtime, long-poll', ...library('polling') },
  { name: 'Socket.IO', ...socketIo(false) },
  { name: 'Socket.IO with recovery', ...socketIo(true) },
];

/** Over two nodes and one Redis: a client that was cut comes back at the other node. */
export const double = [
  { name: 'nestjs-realtime, WebSocket, two nodes', ...library('websocket', { nodes: 2 }) },
  { name: 'Socket.IO with recovery, two nodes', ...socketIo(true, { nodes: 2 }) },
];

/** Whether a contender must deliver everything, once, in order. */
export const isOurs = ({ name }) => name.startsWith('nestjs-realtime');
