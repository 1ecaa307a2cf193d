import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { listenOn, settings } from '../../support/server-side.mjs';
import { FEEDS } from '../names.mjs';
import { note, serveJitter } from '../serve-jitter.mjs';

const { redis, recovery, heartbeat } = settings;
const http = createServer();
const io = new Server(http, {
  ...(recovery && { connectionStateRecovery: {} }),
  ...(redis && { adapter: createAdapter(new Redis(redis)) }),
  ...(heartbeat && { pingInterval: heartbeat.interval, pingTimeout: heartbeat.timeout }),
});
io.on('connection', (socket) => {
  const { room } = socket.handshake.auth;
  // Without a request for it, which is the quickest way in. What was recovered has its rooms.
  if (!socket.recovered) socket.join([...FEEDS, room]);
  socket.on('say', (payload, acknowledge) => {
    note(payload);
    io.to(room).emit('said', payload);
    acknowledge('ok');
  });
});
await serveJitter({
  listen: () => listenOn(http),
  publish: (feed, payload) => io.to(feed).emit('tick', payload),
  http,
});
