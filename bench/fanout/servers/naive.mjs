import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listenOn, settings, turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { eventText } from '../event.mjs';
import { serveTurns } from '../serve-turns.mjs';

// Control row: what most applications write. The text is made once per event; `send` is called per client.
const http = createServer();
const wss = new WebSocketServer({ server: http });
let seq = 0;
await serveTurns({
  listen: () => listenOn(http),
  written: writtenBy(http),
  async publish(events) {
    for (let index = 0; index < events; index++) {
      const text = eventText(++seq, settings.bytes);
      for (const client of wss.clients) client.send(text);
    }
    await turnOfTheLoop();
  },
});
