import { Sender, WebSocketServer } from 'ws';
import { serve, settings } from '../support/server-process.mjs';
import { eventText } from './event.mjs';

// Control row: the frame is built once per event, and the same buffer written to each socket.
const sockets = new Set();
let seq = 0;
await serve({
  attach(http) {
    const wss = new WebSocketServer({ noServer: true });
    http.on('upgrade', (request, socket, head) => {
      wss.handleUpgrade(request, socket, head, () => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      });
    });
  },
  async publish(events) {
    for (let index = 0; index < events; index++) {
      const body = Buffer.from(eventText(++seq, settings.bytes));
      const frame = Buffer.concat(
        Sender.frame(body, { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }),
      );
      for (const socket of sockets) socket.write(frame);
    }
    await new Promise(setImmediate);
  },
});
