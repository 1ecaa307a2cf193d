import { fileURLToPath } from 'node:url';
import { missingPeer } from '../support/peers.mjs';
import { joins } from '../support/subscribers.mjs';

const server = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));

export const NAIVE = 'ws, naive loop';
export const PREPARED = 'ws, prepared frame';
export const PLATFORM_WS = '@nestjs/platform-ws, loop';
export const SOCKET_IO = 'Socket.IO, room';
export const UWS = 'uWebSockets.js, topic';
export const LIBRARY = 'nestjs-realtime';
export const LIBRARY_MSGPACK = 'nestjs-realtime, MessagePack';

export const contenders = [
  { name: NAIVE, script: server('naive'), join: joins.plain },
  { name: PREPARED, script: server('prepared'), join: joins.plain },
  { name: PLATFORM_WS, script: server('platform-ws'), join: joins.plain },
  { name: SOCKET_IO, script: server('socket-io'), join: joins.socketIo },
  { name: UWS, script: server('uws'), join: joins.plain, needs: '@trufflesuite/uws-js-unofficial' },
  { name: LIBRARY, script: server('library'), join: joins.library() },
  { name: LIBRARY_MSGPACK, script: server('library'), join: joins.libraryMsgpack() },
];

/** Those that can run here, and why the others cannot. */
export function available(list) {
  const missing = new Map();
  for (const { name, needs } of list) {
    const reason = needs === undefined ? undefined : missingPeer(needs);
    if (reason !== undefined) missing.set(name, reason);
  }
  return { present: list.filter(({ name }) => !missing.has(name)), missing };
}
