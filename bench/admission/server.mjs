// The library with everything that decides who comes in and who stays, or without what can be switched off.
import { MessageBody } from '@nestjs/websockets';
import { CHANNEL, SECRET } from '../connect/check.mjs';
import { decorate } from '../support/decorate.mjs';
import {
  Authorize,
  Channel,
  libraryApp,
  memoryBroker,
  OnPublish,
  PublicChannel,
} from '../support/library.mjs';
import { listenNest } from '../support/nest-app.mjs';
import { connectionsOf, serve, settings } from '../support/server-side.mjs';

const { isOn } = settings;

class LobbyChannel {}
decorate(LobbyChannel, { on: [PublicChannel(), Channel(CHANNEL)] });

class PublishChannel {
  mayPublish() {
    return true;
  }
  onPublish(message) {
    return message;
  }
}
decorate(PublishChannel, {
  on: [PublicChannel(), Channel('bench.publish')],
  methods: {
    mayPublish: { on: [Authorize('publish')] },
    onPublish: { on: [OnPublish('renamed')], params: [[MessageBody()]] },
  },
});

/** Bounds that nobody reaches: what is measured is what it costs to look at them. */
const PLENTY = 1_000_000;
const rates = { ratePerSecond: 1e6, burst: 1e6, bytesPerSecond: 1e9, userRatePerSecond: 1e6 };
const guards = {
  recheck: '1h',
  circuits: { failures: 20, clientFailures: 10 },
  limits: {
    ...rates,
    nodeConnectsPerSecond: PLENTY,
    nodeReturnsPerSecond: PLENTY,
    maxConnectionsPerUser: 1_000,
    forUser: ({ id }) => ({ maxConnections: 1_000, tenant: { id: id.slice(-1), maxConnections: PLENTY } }),
  },
};
const none = {
  circuits: { failures: 0, clientFailures: 0 },
  limits: { ...rates, nodeConnectsPerSecond: 0, nodeReturnsPerSecond: 0, maxConnectionsPerUser: 0 },
};

const { app } = await libraryApp({
  providers: [LobbyChannel, PublishChannel],
  options: {
    auth: { jwt: { secret: SECRET, algorithms: ['HS256'] } },
    // All publish as one user, more than its share of remembered ids.
    broker: () => memoryBroker({ maxBytes: 2 ** 30, idShare: 1 }),
    ...(isOn ? guards : none),
  },
});
await serve(() => listenNest(app), { connections: () => connectionsOf(app.getHttpServer()) });
