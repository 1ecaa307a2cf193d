import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings, turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { payloadOf } from '../event.mjs';
import { serveTurns } from '../serve-turns.mjs';

// The library as an application uses it: through its module and service, sequenced, kept in history, deduped.
class BenchChannel {}
decorate(BenchChannel, { on: [PublicChannel(), Channel('bench.fanout')] });

const { app, realtime } = await libraryApp({ providers: [BenchChannel] });
await serveTurns({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  async publish(events) {
    const channel = realtime.channel('bench.fanout');
    const payload = payloadOf(settings.bytes);
    const work = [];
    for (let index = 0; index < events; index++) work.push(channel.publish('tick', payload));
    await Promise.all(work);
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
