import { decorate } from '../../support/decorate.mjs';
import {
  Authorize,
  Channel,
  libraryApp,
  OnPublish,
  OnRequest,
  PublicChannel,
} from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { serve } from '../../support/server-side.mjs';
import { MessageBody } from '@nestjs/websockets';
import { addHandlers } from '../handlers.mjs';
import { answer } from '../request.mjs';

class EchoChannel {
  bareOnConnection(message) {
    return answer(message);
  }
}
decorate(EchoChannel, {
  on: [PublicChannel(), Channel('bench.echo')],
  methods: {
    ...addHandlers(EchoChannel, (event) => OnRequest(event)),
    bareOnConnection: {
      on: [OnRequest('bareOnConnection', { scope: 'connection', authorize: 'public' })],
      params: [[MessageBody()]],
    },
  },
});

// Nobody subscribes to it, so that what is measured is the way into the log.
class PublishChannel {
  mayPublish() {
    return true;
  }
  onPublish(message) {
    return answer(message);
  }
}
decorate(PublishChannel, {
  on: [PublicChannel(), Channel('bench.publish')],
  methods: {
    mayPublish: { on: [Authorize('publish')] },
    onPublish: { on: [OnPublish('renamed')], params: [[MessageBody()]] },
  },
});

// The clients of this bench ask as fast as they are answered.
const limits = { ratePerSecond: 1e6, burst: 1e6, bytesPerSecond: 1e9, userRatePerSecond: 1e6 };
const { app } = await libraryApp({ providers: [EchoChannel, PublishChannel], options: { limits } });
await serve(() => listenNest(app));
