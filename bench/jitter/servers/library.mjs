import { MessageBody } from '@nestjs/websockets';
import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { SECRET } from '../../connect/check.mjs';
import { decorate } from '../../support/decorate.mjs';
import { Authorize, Channel, libraryApp, OnPublish, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings } from '../../support/server-side.mjs';
import { note, serveJitter } from '../serve-jitter.mjs';

class FeedsChannel {}
decorate(FeedsChannel, { on: [PublicChannel(), Channel('feeds.:feed')] });

class RoomsChannel {
  may() {
    return true;
  }
  said(payload) {
    note(payload);
    return payload;
  }
}
decorate(RoomsChannel, {
  on: [PublicChannel(), Channel('rooms.:room')],
  methods: {
    may: { on: [Authorize('publish')] },
    said: { on: [OnPublish('said')], params: [[MessageBody()]], types: [Object] },
  },
});

const { redis, heartbeat } = settings;
const { app, realtime } = await libraryApp({
  providers: [FeedsChannel, RoomsChannel],
  options: {
    auth: { jwt: { secret: SECRET, algorithms: ['HS256'] } },
    heartbeat,
    ...(redis && {
      broker: () => redisBroker({ url: redis }),
      ticketSecret: 'the same on every node of this bench',
    }),
  },
});
await serveJitter({
  listen: () => listenNest(app),
  publish: (feed, payload) => realtime.channel(feed).publish('tick', payload),
  http: app.getHttpServer(),
});
