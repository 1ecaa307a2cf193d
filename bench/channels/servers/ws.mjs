import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { eventText } from '../../fanout/event.mjs';
import { listenOn, writtenBy } from '../../support/server-side.mjs';
import { channelsOf, serveChannels } from '../serve-channels.mjs';

// Control row: a set of clients per channel, and the text of an event made once.
const http = createServer();
const wss = new WebSocketServer({ server: http });
const channels = new Map();
wss.on('connection', (ws, request) => {
  for (const name of channelsOf(request.url)) {
    if (!channels.has(name)) channels.set(name, new Set());
    channels.get(name).add(ws);
  }
});
let seq = 0;
await serveChannels({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(channel, payload) {
    const text = eventText(++seq, payload);
    for (const client of channels.get(channel)) client.send(text);
  },
});
