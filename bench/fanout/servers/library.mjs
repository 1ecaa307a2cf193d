import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings, turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// The library as an application uses it: through its module and service, sequenced, kept in history, deduped, unless
// the settings say otherwise.
const log = settings.log === false ? { history: false, dedupe: false } : {};
class BenchChannel {}
decorate(BenchChannel, { on: [PublicChannel(), Channel('bench.fanout', log)] });

const { app, realtime } = await libraryApp({
  providers: [BenchChannel],
  options: { compression: settings.compression ?? false, ...settings.options },
});
const channel = realtime.channel('bench.fanout');
let published = 0;
await serveFanOut({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish: settings.ids
    ? (payload) => channel.publish('tick', payload, { id: `bench-${++published}` })
    : (payload) => channel.publish('tick', payload),
  async settle() {
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
