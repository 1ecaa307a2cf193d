import { connectionsOf, serve, settings } from '../support/server-side.mjs';
import { now } from './clock.mjs';
import { FEEDS } from './names.mjs';

const TICK_MS = 10;
const FILL = 'x'.repeat(settings.bytes ?? 0);

/** Publishes of clients that came to this server, by id, and how often. */
const said = new Map();

/** Notes a publish of a client. */
export function note({ id }) {
  said.set(id, (said.get(id) ?? 0) + 1);
}

/**
 * Serves one contender. The publisher is the same for all: events of each feed are numbered from 0 and have the time at which they
 * were published.
 *
 * @param {object} server
 * @param {() => Promise<number>} server.listen Resolves with the port.
 * @param {(feed: string, payload: object) => unknown} server.publish
 * @param {import('node:http').Server} server.http
 */
export function serveJitter({ listen, publish, http }) {
  let timer;
  let times;
  const failures = [];
  return serve(listen, {
    /** @param {{ perSecond: number }} message Events of each feed a second. */
    start({ perSecond }) {
      said.clear();
      failures.length = 0;
      times = FEEDS.map(() => []);
      const begunAt = now();
      let done = 0;
      timer = setInterval(() => {
        const due = Math.floor(((now() - begunAt) * perSecond * FEEDS.length) / 1_000);
        for (; done < due; done++) {
          const feed = done % FEEDS.length;
          const at = now();
          const n = times[feed].push(at) - 1;
          Promise.resolve(publish(FEEDS[feed], { feed, n, at, fill: FILL })).catch((error) =>
            failures.push(String(error)),
          );
        }
      }, TICK_MS);
      return {};
    },
    stop() {
      clearInterval(timer);
      return { times, failures };
    },
    said: () => ({ said: [...said] }),
    connections: () => connectionsOf(http),
  });
}
