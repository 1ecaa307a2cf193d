import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listenOn, serve } from '../../support/server-side.mjs';
import { answer } from '../request.mjs';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 3_600_000 });
io.on('connection', (socket) => {
  socket.on('rename', (message, acknowledge) => acknowledge({ ref: message.id, ...answer(message) }));
});
await serve(() => listenOn(http));
