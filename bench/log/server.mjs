import { libraryApp } from '../support/library.mjs';
import { logChannels } from '../support/log-channels.mjs';
import { LOGGED, UNLOGGED } from '../support/log-names.mjs';
import { listenNest } from '../support/nest-app.mjs';
import { serve, settings, turnOfTheLoop, unaccounted, writtenBy } from '../support/server-side.mjs';

const { app, realtime } = await libraryApp({
  providers: logChannels,
  // A pause that lets events share a write would make the writes, which are what the log is compared with, disappear.
  options: { maxFlushDelay: 0 },
});
const written = writtenBy(app.getHttpServer());
const payload = 'x'.repeat(settings.bytes);
let published = 0;

/** Publishes one event per turn of the event loop, each under an id of its own, so that there is something to dedupe. */
function publishing(name) {
  const channel = realtime.channel(name);
  return async ({ turns }) => {
    for (let turn = 0; turn < turns; turn++) {
      await channel.publish('tick', payload, { id: `bench-${++published}` });
      await turnOfTheLoop();
    }
    return { written: unaccounted(written) };
  };
}

await serve(() => listenNest(app), {
  written: () => ({ written: unaccounted(written) }),
  logged: publishing(LOGGED),
  unlogged: publishing(UNLOGGED),
});
