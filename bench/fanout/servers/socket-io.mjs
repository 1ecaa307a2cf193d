import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listenOn, settings, turnOfTheLoop, unaccounted, writtenBy } from '../../support/server-side.mjs';
import { eventOf } from '../event.mjs';
import { serveTurns } from '../serve-turns.mjs';

// A room, which Socket.IO encodes an event for once. The clients of the bench answer no ping.
const http = createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 3_600_000 });
io.on('connection', (socket) => socket.join('bench'));
const written = writtenBy(http);
// While a packet is being written, Engine.IO holds back those that follow.
const hasWaiting = () => {
  for (const { conn } of io.sockets.sockets.values()) {
    if (conn.writeBuffer.length > 0 || !conn.transport.writable) return true;
  }
  return false;
};
let seq = 0;
await serveTurns({
  listen: () => listenOn(http),
  written,
  async publish(events) {
    for (let index = 0; index < events; index++) io.to('bench').emit('tick', eventOf(++seq, settings.bytes));
    do {
      await turnOfTheLoop();
    } while (unaccounted(hasWaiting));
  },
});
