import { randomUUID } from 'node:crypto';
import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { inFlight } from '../in-flight.mjs';
import { CHANNEL, open as openBroker } from './library-broker.mjs';

// The library as an application publishes with it: module, service, and an id of its own for each publish. The nodes that
// are told are those of the broker: nobody is connected to them.
export async function open(settings) {
  if (settings.role === 'node') return openBroker(settings);
  class BenchChannel {}
  decorate(BenchChannel, { on: [PublicChannel(), Channel(CHANNEL)] });
  const { app, realtime } = await libraryApp({
    providers: [BenchChannel],
    options: {
      broker: () => redisBroker({ url: settings.url }),
      ticketSecret: 'the same on every node of this bench',
    },
  });
  await listenNest(app);
  const channel = realtime.channel(CHANNEL);
  const publish = () => channel.publish('tick', settings.payload, { id: randomUUID() });
  return { publish, load: (count, limit) => inFlight(publish, count, limit) };
}
