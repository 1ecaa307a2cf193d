import { MessageBody } from '@nestjs/websockets';
import { SECRET } from '../connect/check.mjs';
import { decorate } from '../support/decorate.mjs';
import { Authorize, Channel, libraryApp, OnPublish, OnRequest, PublicChannel } from '../support/library.mjs';
import { listenNest } from '../support/nest-app.mjs';
import {
  connectionsOf,
  serve,
  settings,
  turnOfTheLoop,
  unaccounted,
  writtenBy,
} from '../support/server-side.mjs';

// An application whose handlers do nothing: what they do is the user's to add.
class CapacityChannel {
  mayPublish() {
    return true;
  }
  onPublish(message) {
    return message;
  }
  echo(message) {
    return message;
  }
}
decorate(CapacityChannel, {
  on: [PublicChannel(), Channel('capacity.:name')],
  methods: {
    mayPublish: { on: [Authorize('publish')] },
    onPublish: { on: [OnPublish('tick')], params: [[MessageBody()]] },
    echo: { on: [OnRequest('echo')], params: [[MessageBody()]] },
  },
});

const limits = {
  ratePerSecond: 1e6,
  burst: 1e6,
  bytesPerSecond: 1e9,
  userRatePerSecond: 1e6,
  maxConnectionsPerUser: 1e6,
};
const { app, realtime } = await libraryApp({
  providers: [CapacityChannel],
  options: {
    auth: { jwt: { secret: SECRET, algorithms: ['HS256'] } },
    ...settings.options,
    limits,
  },
});
const written = writtenBy(app.getHttpServer());
let events = 0;

/** Publishes in one turn of the event loop, each event with a payload of its own. */
async function inOneTurn(channel, count) {
  const { bytes } = settings;
  const published = [];
  for (let index = 0; index < count; index++)
    published.push(channel.publish('tick', String(++events).padEnd(bytes - 2, 'x')));
  await Promise.all(published);
}

await serve(() => listenNest(app), {
  written: () => ({ written: unaccounted(written) }),
  connections: () => connectionsOf(app.getHttpServer()),
  async turn({ name, channels, events: count, repeat }) {
    for (let index = 0; index < repeat; index++) {
      await inOneTurn(realtime.channel(`capacity.${name}-${index % channels}`), count);
      await turnOfTheLoop();
      await turnOfTheLoop();
    }
    return { written: unaccounted(written) };
  },
  /** Fills the logs of so many channels. */
  async fill({ channels, perChannel }) {
    for (let index = 0; index < channels; index++)
      await inOneTurn(realtime.channel(`capacity.log-${index}`), perChannel);
  },
  /** What is in use after collecting: `memory` says nothing of buffers. */
  used() {
    for (let round = 0; round < 4; round++) globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    return { bytes: heapUsed + external };
  },
  /** As it is, garbage included. */
  resident: () => ({ rss: process.memoryUsage.rss() }),
});
