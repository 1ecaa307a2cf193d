import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listenOn, settings, turnOfTheLoop, unaccounted, writtenBy } from '../../support/server-side.mjs';
import { eventOf } from '../event.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// A room, which Socket.IO encodes an event for once. Most clients of the bench answer no ping.
const http = createServer();
const io = new Server(http, {
  transports: settings.transports ?? ['websocket'],
  pingInterval: settings.beatMs ?? 3_600_000,
});
io.on('connection', (socket) => socket.join('bench'));
// While a packet is being written, Engine.IO holds back those that follow.
const hasWaiting = () => {
  for (const { conn } of io.sockets.sockets.values()) {
    if (conn.writeBuffer.length > 0 || !conn.transport.writable) return true;
  }
  return false;
};
let seq = 0;
await serveFanOut({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(payload) {
    io.to('bench').emit('tick', eventOf(++seq, payload));
  },
  async settle() {
    do {
      await turnOfTheLoop();
    } while (unaccounted(hasWaiting));
  },
});
