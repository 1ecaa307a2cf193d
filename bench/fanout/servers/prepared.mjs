import { createServer } from 'node:http';
import { Sender, WebSocketServer } from 'ws';
import { listenOn, writtenBy } from '../../support/server-side.mjs';
import { eventText } from '../event.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// Control row: the frame is built once per event, and the same buffer written to each socket.
const http = createServer();
const wss = new WebSocketServer({ noServer: true });
const sockets = new Set();
http.on('upgrade', (request, socket, head) => {
  wss.handleUpgrade(request, socket, head, () => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
});
let seq = 0;
await serveFanOut({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(payload) {
    const body = Buffer.from(eventText(++seq, payload));
    const frame = Buffer.concat(
      Sender.frame(body, { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }),
    );
    for (const socket of sockets) socket.write(frame);
  },
});
