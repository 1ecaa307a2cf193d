import { createServer } from 'node:http';
import { listenOn, writtenBy } from '../../support/server-side.mjs';
import { serveFanOut } from '../../fanout/serve-fanout.mjs';
import { eventText } from '../../fanout/event.mjs';

// Control row: the loop that applications write by hand. The text is made once per event, its id included.
const responses = new Set();
const http = createServer((req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' }).flushHeaders();
  responses.add(res);
  res.on('close', () => responses.delete(res));
});
let seq = 0;
await serveFanOut({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(payload) {
    const text = `id: ${++seq}\ndata: ${eventText(seq, payload)}\n\n`;
    for (const res of responses) res.write(text);
  },
});
