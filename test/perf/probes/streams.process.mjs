// Bytes of heap that an idle plain stream keeps, with its session and beyond its socket. Argument: JSON { channels, hoarding }, of
// which a control has each stream keep a small array more.
import { systemClock } from '../../../dist/core/ports/clock.js';
import { BlockVariants } from '../../../dist/transports/sse/blocks.js';
import { Feed } from '../../../dist/transports/sse/feed.js';
import { Beats, IdPace } from '../../../dist/transports/sse/pace.js';
import { rest, startEngine } from './engine.mjs';

const { channels: count, hoarding } = JSON.parse(process.argv[2]);
const STREAMS = 2_500;

/** A stream that keeps nothing of what it is given. */
class QuietStream {
  chunked = true;
  copiesFrames = false;
  bufferedBytes = 0;
  frames = 0;
  /** As of the library, so that it costs the same here with and without a feed. */
  feed = undefined;

  own() {}
  begin() {}
  end() {}
  destroy() {}
  writeText() {
    return true;
  }
  write() {
    this.frames += 1;
    return true;
  }
  writeBehind() {
    return this.write();
  }
}

const handshake = { transport: 'sse', headers: {}, url: '/realtime/sse', ip: '127.0.0.1', secure: false };
const channels = Array.from({ length: count }, (_, index) => `rooms.${index + 1}`);
const deps = {
  clock: systemClock,
  random: () => 0.5,
  retry: { baseMs: 500, maxMs: 20_000, firstSpreadMs: 2_000 },
  variants: new BlockVariants(),
  ids: new IdPace(systemClock, 10),
  beats: new Beats(systemClock, 3_600_000),
  onError: (error) => console.error(error),
};
const { engine } = await startEngine({ paced: false });

const open = async () => {
  const streams = Array.from({ length: STREAMS }, () => new QuietStream());
  const bare = used();
  for (const stream of streams) {
    const plan = { channels, named: false, lastEventId: undefined, headers: {}, refuse: () => undefined };
    const feed = new Feed(handshake, plan, stream, deps);
    stream.feed = feed;
    feed.start(() => engine.host.open(feed, {}));
    if (hoarding) feed.hoard = new Array(64).fill(0);
  }
  const isSubscribed = () => streams.every(({ feed }) => channels.every((name) => feed.positionOf(name)));
  while (!isSubscribed()) await rest(isSubscribed);
  // The ids that are due.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { streams, bare };
};
// Compiled code and tables that grow are not the streams'.
const first = await open();
const { streams, bare } = await open();
console.log(JSON.stringify({ perStream: (used() - bare) / STREAMS, sessions: engine.status.sessions }));
for (const { feed } of [...first.streams, ...streams]) feed.onGone();
await engine.stop();

function used() {
  for (let round = 0; round < 3; round++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}
