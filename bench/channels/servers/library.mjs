import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { SHARED } from '../names.mjs';
import { serveChannels } from '../serve-channels.mjs';

class SmallChannel {}
decorate(SmallChannel, { on: [PublicChannel(), Channel('bench.groups.:group.:channel')] });
class SharedChannel {}
decorate(SharedChannel, { on: [PublicChannel(), Channel(SHARED)] });

const { app, realtime } = await libraryApp({ providers: [SmallChannel, SharedChannel] });
await serveChannels({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish: (channel, payload) => realtime.channel(channel).publish('tick', payload),
  async settle() {
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
