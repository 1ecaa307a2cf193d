import { decorate } from '../../support/decorate.mjs';
import { Channel, libraryApp, memoryBroker, PublicChannel } from '../../support/library.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { settings } from '../../support/server-side.mjs';
import { serveReplay } from '../serve-replay.mjs';

class ReplayChannel {}
decorate(ReplayChannel, { on: [PublicChannel(), Channel('bench.replay')] });

/** Reads of events, and of no more than the proof that a position is good, which those who come in one turn share. */
const reads = { events: 0, proofs: 0 };
function countingBroker() {
  const broker = memoryBroker();
  const { log } = broker;
  const read = log.read.bind(log);
  log.read = (request) => {
    reads[request.limit > 1 ? 'events' : 'proofs'] += 1;
    return read(request);
  };
  return broker;
}

const { app, realtime } = await libraryApp({
  providers: [ReplayChannel],
  options: { broker: countingBroker },
});
await serveReplay({
  listen: () => listenNest(app),
  logReads: () => ({ ...reads }),
  async prepare(count) {
    const channel = realtime.channel('bench.replay');
    const payload = 'x'.repeat(settings.bytes);
    let last;
    for (let index = 0; index < count; index++) last = await channel.publish('tick', payload);
    return { position: { epoch: last.epoch, seq: 0 } };
  },
});
