import { decorate } from '../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../support/library.mjs';
import { listenNest } from '../support/nest-app.mjs';
import { serve, settings, turnOfTheLoop, unaccounted, writtenBy } from '../support/server-side.mjs';
import { SHARED, small } from './names.mjs';

class SmallChannel {}
decorate(SmallChannel, { on: [PublicChannel(), Channel('bench.groups.:group.:channel')] });
class SharedChannel {}
decorate(SharedChannel, { on: [PublicChannel(), Channel(SHARED)] });

const { app, realtime } = await libraryApp({ providers: [SmallChannel, SharedChannel] });
const written = writtenBy(app.getHttpServer());
const payload = 'x'.repeat(settings.bytes);
const shared = realtime.channel(SHARED);
let turns = 0;

/** Publishes in one turn of the event loop. */
async function inOneTurn(channels) {
  await Promise.all(channels.map((channel) => channel.publish('tick', payload)));
  await turnOfTheLoop();
  await turnOfTheLoop();
  return { written: unaccounted(written) };
}

await serve(() => listenNest(app), {
  written: () => ({ written: unaccounted(written) }),
  /** One event to everybody, of a channel that all are subscribed to. */
  shared: () => inOneTurn([shared]),
  /** One event to everybody, of as many channels as there are groups; each turn the next channel of each group. */
  small() {
    const channel = ++turns % settings.channelsPerGroup;
    return inOneTurn(
      Array.from({ length: settings.groups }, (_, group) => realtime.channel(small(group, channel))),
    );
  },
});
