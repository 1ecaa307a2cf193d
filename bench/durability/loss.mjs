import { redisBroker } from '../../dist/brokers/redis/index.js';
import { silentListener } from '../support/silent-listener.mjs';
import { CHANNEL, nowMs } from './common.mjs';
import { startPair } from './pair.mjs';
import { startPublisher } from './publisher.mjs';

const PAGE = 1_000;

/**
 * One master that dies: publishes run, the master is killed, the replica becomes the master, and what was acknowledged is
 * looked for in its log.
 *
 * @returns How many acknowledged publishes it lacks; how long before the death the first of them was acknowledged; and
 * whether the log says so: the last acknowledged position is good if, and only if, nothing is missing (G6).
 */
export async function loseMaster({ level, limit, linkMs, bytes, aliveMs }) {
  const { master, replica, die, stop } = await startPair(linkMs);
  const publisher = await startPublisher({ level, url: master.url, bytes });
  const startedAt = nowMs();
  await publisher.ask({ type: 'start', limit });
  await new Promise((resolve) => setTimeout(resolve, aliveMs));
  const diedAt = nowMs();
  await die();
  await replica.admin.replicaof('NO', 'ONE');
  const { acknowledged, last } = await publisher.ask({ type: 'acknowledged' });
  publisher.stop();
  const { ids, isGood } = await readLog(replica, last);
  await stop();
  const lost = acknowledged.filter(({ id }) => !ids.has(id));
  const first = Math.min(...lost.map(({ at }) => at));
  return {
    perSecond: (1_000 * acknowledged.length) / (diedAt - startedAt),
    lost: lost.length,
    windowMs: lost.length === 0 ? 0 : Math.max(0, diedAt - first),
    isTrue: isGood === (lost.length === 0),
  };
}

async function readLog(server, { epoch, seq }) {
  const broker = redisBroker({ url: server.url });
  await broker.start(silentListener);
  const ids = new Set();
  for (let from = 1, more = true; more;) {
    const { events, tip } = await broker.log.read({ channel: CHANNEL, from, limit: PAGE });
    for (const { id } of events) ids.add(id);
    from += events.length;
    more = events.length > 0 && from <= tip.seq;
  }
  const { continuous } = await broker.log.read({ channel: CHANNEL, epoch, from: seq + 1, limit: 1 });
  await broker.close();
  return { ids, isGood: continuous };
}
