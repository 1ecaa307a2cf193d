import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { libraryApp } from '../../support/library.mjs';
import { logChannels } from '../../support/log-channels.mjs';
import { LOGGED, UNLOGGED } from '../../support/log-names.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings, writtenBy } from '../../support/server-side.mjs';
import { serveNode } from '../serve-node.mjs';

// A node of the library, through its module and service, with its ways of handing an event to everybody: with sequence, history
// and dedupe; with neither history nor dedupe; and as signals, which have nothing of the kind. All in the same process, since
// two processes differ by more than that costs.
const { app, realtime } = await libraryApp({
  providers: logChannels,
  options: {
    broker: () => redisBroker({ url: settings.url }),
    ticketSecret: 'the same on every node of this bench',
    // The next turn begins when this one has arrived: whoever waited for more events would wait in vain.
    maxFlushDelay: 0,
  },
});
const logged = realtime.channel(LOGGED);
const unlogged = realtime.channel(UNLOGGED);
let published = 0;
const ways = {
  on: (payload) => logged.publish('tick', payload, { id: `bench-${++published}` }),
  off: (payload) => unlogged.publish('tick', payload),
  signals: (payload) => logged.signal('tick', payload),
};
await serveNode({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish: (payload, way) => ways[way](payload),
});
