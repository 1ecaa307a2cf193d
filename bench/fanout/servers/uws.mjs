import { createRequire } from 'node:module';
import { frameBytes } from '../../support/frames.mjs';
import { turnOfTheLoop } from '../../support/server-side.mjs';
import { eventText } from '../event.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// A topic of uWebSockets.js, which batches what is published in one turn by itself.
const { App, us_socket_local_port: portOf } = createRequire(import.meta.url)(
  '@trufflesuite/uws-js-unofficial',
);
let subscribers = 0;
let seq = 0;
let written = 0;
const app = App().ws('/*', {
  // A turn of the bench must fit; what does not is dropped without a word.
  maxBackpressure: 64 * 1024 * 1024,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  open(ws) {
    subscribers += 1;
    ws.subscribe('bench');
  },
  close() {
    subscribers -= 1;
  },
});
await serveFanOut({
  listen: () =>
    new Promise((resolve, reject) => {
      app.listen('127.0.0.1', 0, (socket) =>
        socket ? resolve(portOf(socket)) : reject(new Error('uWebSockets.js does not listen')),
      );
    }),
  written: () => written,
  publish(payload) {
    const text = eventText(++seq, payload);
    app.publish('bench', text, false);
    written += subscribers * frameBytes(text.length);
  },
  async settle() {
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
