import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { eventOf } from '../../fanout/event.mjs';
import { listenOn, turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { channelsOf, serveChannels } from '../serve-channels.mjs';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 3_600_000 });
io.on('connection', (socket) => socket.join(channelsOf(socket.request.url)));
let seq = 0;
await serveChannels({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(channel, payload) {
    io.to(channel).emit('tick', eventOf(++seq, payload));
  },
  async settle() {
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
