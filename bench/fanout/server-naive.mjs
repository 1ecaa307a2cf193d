import { WebSocketServer } from 'ws';
import { serve, settings } from '../support/server-process.mjs';
import { eventText } from './event.mjs';

// Control row: what most applications write. The text is made once per event; `send` is called per client.
let wss;
let seq = 0;
await serve({
  attach(http) {
    wss = new WebSocketServer({ server: http });
  },
  async publish(events) {
    for (let index = 0; index < events; index++) {
      const text = eventText(++seq, settings.bytes);
      for (const client of wss.clients) client.send(text);
    }
    await new Promise(setImmediate);
  },
});
