import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings, turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { serveFanOut } from '../serve-fanout.mjs';

// The library as an application uses it: through its module and service, sequenced, kept in history, deduped.
class BenchChannel {}
decorate(BenchChannel, { on: [PublicChannel(), Channel(settings.pattern ?? 'bench.fanout')] });

const { app, realtime } = await libraryApp({
  providers: [BenchChannel],
  options: {
    compression: settings.compression ?? false,
    ...(settings.beatMs === undefined ? {} : { heartbeat: { interval: settings.beatMs } }),
  },
});
const channel = realtime.channel('bench.fanout');
await serveFanOut({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish: (payload) => channel.publish('tick', payload),
  async settle() {
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
