import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { eventOf } from '../../fanout/event.mjs';
import { listenOn, settings, writtenBy } from '../../support/server-side.mjs';
import { serveNode } from '../serve-node.mjs';
import { redisAdapter } from '../socket-io-adapters.mjs';

// A node of Socket.IO. The clients of the bench answer no ping.
const http = createServer();
const { adapter } = redisAdapter(settings.adapter, settings.url);
const io = new Server(http, { transports: ['websocket'], pingInterval: 3_600_000, adapter });
io.on('connection', (socket) => socket.join('bench'));
let seq = 0;
await serveNode({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(payload) {
    io.to('bench').emit('tick', eventOf(++seq, payload));
  },
});
