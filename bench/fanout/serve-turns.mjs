import { serve, unaccounted } from '../support/server-side.mjs';

/**
 * Serves turns: `publish(count)` hands `count` events to every subscriber in one turn of the event loop, and resolves
 * when the sockets have them.
 *
 * @param {() => number} written Bytes that all sockets were given so far.
 */
export function serveTurns({ listen, publish, written }) {
  return serve(listen, {
    async turn({ events }) {
      await publish(events);
      return { written: unaccounted(written) };
    },
    written: () => ({ written: unaccounted(written) }),
  });
}
