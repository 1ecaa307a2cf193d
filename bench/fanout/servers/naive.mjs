import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listenOn, settings, turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { eventText } from '../event.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// Control row: what most applications write. The text is made once per event; `send` is called per client.
const http = createServer();
const wss = new WebSocketServer({ server: http, perMessageDeflate: settings.compression ?? false });
let seq = 0;
let compressing = 0;
let settled = () => undefined;
const onSent = () => {
  if (--compressing === 0) settled();
};
await serveFanOut({
  listen: () => listenOn(http),
  written: writtenBy(http),
  publish(payload) {
    const text = eventText(++seq, payload);
    if (!settings.compression) {
      for (const client of wss.clients) client.send(text);
      return;
    }
    compressing += wss.clients.size;
    for (const client of wss.clients) client.send(text, onSent);
  },
  async settle() {
    if (compressing > 0) await new Promise((resolve) => (settled = resolve));
    await turnOfTheLoop();
  },
});
