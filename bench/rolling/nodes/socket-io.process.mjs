// A node of Socket.IO with connection state recovery. SIGTERM closes the server as its documents have it: `io.close()`.
import { createServer } from 'node:http';
import { answerWith, settingsOf } from '../../floods/child.mjs';
import { listenOn } from '../../support/server-side.mjs';
import { recovering } from '../socket-io-server.mjs';

const http = createServer();
const { io, client } = recovering(settingsOf().redis, http);
io.on('connection', (socket) => {
  const { room } = socket.handshake.auth;
  // One that was recovered has its rooms already.
  if (!socket.recovered) socket.join(room);
  socket.on('said', (payload, done) => {
    io.to(room).emit('said', payload);
    done();
  });
});
process.once('SIGTERM', async () => {
  await io.close();
  // Behind everything that was written.
  await client.quit();
  process.exit(0);
});
answerWith({}, { port: await listenOn(http) });
