import { serve, settings, turnOfTheLoop, unaccounted } from '../support/server-side.mjs';
import { openIntake } from './intake.mjs';
import { payloadOf } from './payload.mjs';

/**
 * Serves fan-out: a turn publishes some events within one turn of the event loop; an intake publishes what comes in from
 * outside, as it comes.
 *
 * @param {object} server
 * @param {(payload: unknown) => unknown} server.publish Hands one event to every subscriber.
 * @param {() => Promise<void>} [server.settle] Resolves when the sockets have what was published. Default: in the next
 * turn.
 * @param {() => number} server.written Bytes that all sockets were given so far.
 */
export function serveFanOut({ listen, publish, settle = turnOfTheLoop, written }) {
  let turns = 0;
  return serve(listen, {
    async turn({ events }) {
      const payload = unaccounted(() => payloadOf(settings, ++turns));
      const published = [];
      for (let event = 0; event < events; event++) published.push(publish(payload));
      await Promise.all(published);
      await settle();
      return { written: unaccounted(written) };
    },
    written: () => ({ written: unaccounted(written) }),
    intake: async () => ({ port: await openIntake(publish) }),
  });
}
