import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings, writtenBy } from '../../support/server-side.mjs';
import { serveNode } from '../serve-node.mjs';

// A node of the library, through its module and service: sequence, history, dedupe; or without history and dedupe; or with
// nothing of the kind, as signals.
const log = settings.log === 'on' ? {} : { history: false, dedupe: false };
class BenchChannel {}
decorate(BenchChannel, { on: [PublicChannel(), Channel('bench.fanout', log)] });

const { app, realtime } = await libraryApp({
  providers: [BenchChannel],
  options: {
    broker: () => redisBroker({ url: settings.url }),
    ticketSecret: 'the same on every node of this bench',
    // The next turn begins when this one has arrived: whoever waited for more events would wait in vain.
    maxFlushDelay: 0,
  },
});
const channel = realtime.channel('bench.fanout');
let published = 0;
const ways = {
  on: (payload) => channel.publish('tick', payload, { id: `bench-${++published}` }),
  off: (payload) => channel.publish('tick', payload),
  signals: (payload) => channel.signal('tick', payload),
};
await serveNode({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish: ways[settings.log],
});
