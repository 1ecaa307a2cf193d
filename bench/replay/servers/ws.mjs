import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listenOn, settings } from '../../support/server-side.mjs';
import { eventText } from '../../fanout/event.mjs';
import { serveReplay } from '../serve-replay.mjs';

// Control row: the log is an array of texts in memory, and who comes back is sent one after the other at once, with no
// regard to how much the client takes.
const http = createServer();
const wss = new WebSocketServer({ server: http });
const log = [];
wss.on('connection', (ws) => {
  ws.on('message', (data) => {
    const { type, payload } = JSON.parse(data);
    if (type !== 'subscribe') return;
    for (let index = payload.position.seq; index < log.length; index++) ws.send(log[index]);
    ws.send(JSON.stringify({ type: 'resumed', seq: log.length }));
  });
});
await serveReplay({
  listen: () => listenOn(http),
  logReads: () => ({ events: Number.NaN, proofs: Number.NaN }),
  async prepare(count) {
    const payload = 'x'.repeat(settings.bytes);
    for (let seq = 1; seq <= count; seq++) log.push(eventText(seq, payload));
    return { position: { epoch: 'none', seq: 0 } };
  },
});
