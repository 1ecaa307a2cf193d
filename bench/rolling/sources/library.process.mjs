// A service without clients that publishes to every channel at a steady rate.
import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { decorate } from '../../support/decorate.mjs';
import { settingsOf } from '../../floods/child.mjs';
import { roomOf } from '../load.mjs';
import { serveSource } from '../serve-source.mjs';

const { redis } = settingsOf();
class Rooms {}
decorate(Rooms, { on: [PublicChannel(), Channel('rooms.:room')] });
const { app, realtime } = await libraryApp({
  providers: [Rooms],
  options: {
    broker: () => redisBroker({ url: redis }),
    ticketSecret: 'the same on every node of this bench',
  },
});
await app.init();
serveSource(({ room, payload }) => realtime.channel(roomOf(room)).publish('tick', payload));
