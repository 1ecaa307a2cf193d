import { serve, settings, turnOfTheLoop, unaccounted } from '../support/server-side.mjs';
import { SHARED, small } from './names.mjs';

/**
 * Serves turns of one event to everybody: of one channel, or of as many as there are groups.
 *
 * @param {(channel: string, payload: string) => unknown} server.publish
 * @param {() => Promise<void>} [server.settle] Resolves when the sockets have what was published. Default: in the next
 * turn.
 * @param {() => number} server.written Bytes that all sockets were given so far.
 */
export function serveChannels({ listen, publish, settle = turnOfTheLoop, written }) {
  const payload = 'x'.repeat(settings.bytes);
  const groups = Array.from({ length: settings.groups }, (_, group) => group);
  let turns = 0;
  const inOneTurn = async (channels) => {
    await Promise.all(channels.map((channel) => publish(channel, payload)));
    await settle();
    return { written: unaccounted(written) };
  };
  return serve(listen, {
    written: () => ({ written: unaccounted(written) }),
    shared: () => inOneTurn([SHARED]),
    /** Each turn the next channel of each group. */
    small() {
      const channel = ++turns % settings.channelsPerGroup;
      return inOneTurn(groups.map((group) => small(group, channel)));
    },
  });
}

/** The channels of a client of a peer, which names its group in the query of its URL. */
export function channelsOf(url) {
  const group = Number(new URL(url, 'http://localhost').searchParams.get('group'));
  const own = Array.from({ length: settings.channelsPerGroup }, (_, channel) => small(group, channel));
  return [SHARED, ...own];
}
