import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { connectionsOf, listenOn, serve } from '../../support/server-side.mjs';
import { CHANNEL, verify } from '../check.mjs';

// A middleware checks the token of the CONNECT packet; the room is joined at once, without being asked for.
const http = createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 3_600_000 });
io.use((socket, next) => {
  verify(socket.handshake.auth.token).then((user) => {
    socket.data.user = user;
    next();
  }, next);
});
io.on('connection', (socket) => socket.join(CHANNEL));
await serve(() => listenOn(http), {
  connections: () => connectionsOf(http),
  subscribed: () => ({ count: io.of('/').adapter.rooms.get(CHANNEL)?.size ?? 0 }),
});
