import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

/** Entries that the stream keeps, far more than are published while a client is away. */
const KEPT = 100_000;

/** A server of Socket.IO that recovers the state of connections, for two minutes, on the adapter for Redis that can. */
export function recovering(url, http) {
  const client = new Redis(url);
  const io = new Server(http, {
    transports: ['websocket'],
    connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true },
    adapter: createAdapter(client, { maxLen: KEPT, onlyPlaintext: true }),
  });
  return { io, client };
}
