import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listenOn, serve } from '../../support/server-side.mjs';
import { answer } from '../request.mjs';

// Control row: what a request with a reply costs at least, in the library's own envelope.
const http = createServer();
const wss = new WebSocketServer({ server: http });
let replies = 0;
wss.on('connection', (ws) => {
  ws.on('message', (data) => {
    const { id, payload } = JSON.parse(data);
    ws.send(
      JSON.stringify({
        type: 'reply',
        id: `r-${++replies}`,
        ts: Date.now(),
        ref: id,
        payload: answer(payload),
      }),
    );
  });
});
await serve(() => listenOn(http));
