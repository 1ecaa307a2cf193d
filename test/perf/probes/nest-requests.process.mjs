// Promises and timers that a request to an `@OnRequest` method costs, over a real socket. Argument: JSON { event }.
import { createHook } from 'node:async_hooks';
import { MessageBody } from '@nestjs/websockets';
import { decorate } from '../../../bench/support/decorate.mjs';
import { maskedFrame } from '../../../bench/support/frames.mjs';
import { Channel, libraryApp, OnRequest, PublicChannel } from '../../../bench/support/library.mjs';
import { listenNest } from '../../../bench/support/nest-app.mjs';
import { joins, openSubscriber } from '../../../bench/support/subscribers.mjs';

const { event } = JSON.parse(process.argv[2]);
const COUNT = 50;

class RoomChannel {
  add(value) {
    return value + 1;
  }
  async addLater(value) {
    return value + 1;
  }
}
const handler = (name) => ({ on: [OnRequest(name)], params: [[MessageBody()]] });
decorate(RoomChannel, {
  on: [PublicChannel(), Channel('rooms.:room')],
  methods: { add: handler('add'), addLater: handler('addLater') },
});

const { app } = await libraryApp({ providers: [RoomChannel] });
const port = await listenNest(app);
let heard = '';
const client = await openSubscriber(port, joins.library(['rooms.1']), {
  buffer: Buffer.alloc(64 * 1024),
  onBytes(length, chunk) {
    heard += Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
  },
});
const created = { PROMISE: 0, Timeout: 0 };
const hook = createHook({
  init(_, kind) {
    if (kind in created) created[kind] += 1;
  },
});
const repliesIn = (text) => text.split('"type":"reply"').length - 1;
const frames = Buffer.concat(
  Array.from({ length: COUNT }, (_, index) =>
    maskedFrame(JSON.stringify({ type: 'request', id: `c${index}`, channel: 'rooms.1', event, payload: 1 })),
  ),
);
// Compiled and warm before it counts; by turns of the loop, since a promise or timer of this file would be counted too.
ask(() => {
  hook.enable();
  ask(() => {
    hook.disable();
    const { PROMISE, Timeout } = created;
    console.log(JSON.stringify({ replies: COUNT, promises: PROMISE / COUNT, timers: Timeout / COUNT }));
    client.close();
    void app.close();
  });
});

function ask(then) {
  heard = '';
  client.socket.write(frames);
  const look = () => (repliesIn(heard) < COUNT ? setImmediate(look) : then());
  look();
}
