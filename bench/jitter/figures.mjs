import { percentile } from '../support/statistics.mjs';
import { membersOf } from './names.mjs';

/** Later than this is late. */
const LATE_MS = 1_000;

/** What the turns of one contender come to. */
export function figuresOf(turns) {
  const sum = { expected: 0, delivered: 0, doubled: 0, outOfOrder: 0, gaps: 0, late: 0, cuts: 0, whole: 0 };
  const publishes = {
    made: 0,
    acknowledged: 0,
    failed: 0,
    handledTwice: 0,
    doubled: 0,
    missing: 0,
    outOfOrder: 0,
  };
  const replays = [];
  const sinceCut = [];
  const noticed = [];
  const delays = [];
  for (const { players, times, said } of turns) {
    for (const { received, cuts } of players) {
      for (const [feed, published] of times.entries()) {
        sum.expected += published.length;
        for (const [n, at] of published.entries()) {
          const seenAt = received.feeds[feed][n];
          if (seenAt === undefined) continue;
          sum.delivered++;
          delays.push(seenAt - at);
          if (seenAt - at > LATE_MS) sum.late++;
        }
      }
      sum.doubled += received.doubled;
      sum.outOfOrder += received.outOfOrder;
      sum.gaps += received.gaps;
      let from = 0;
      for (const cut of cuts) {
        sum.cuts++;
        if (cut.backAt === undefined) continue;
        noticed.push(cut.backAt - cut.at);
        const { isWhole, caughtUpAt } = missedBy(cut, from, received, times);
        from = cut.backAt;
        if (!isWhole) continue;
        sum.whole++;
        if (caughtUpAt === undefined) continue;
        replays.push(caughtUpAt - cut.backAt);
        sinceCut.push(caughtUpAt - cut.at);
      }
    }
    addPublishes(publishes, players, said);
  }
  return { ...sum, publishes, replays, sinceCut, noticed, delays };
}

/**
 * What was published before a client came back, and had not come when it was cut: whether all of that came, and when the last of it did;
 * `undefined` where there was nothing. What was published before `from` concerns an earlier cut.
 */
function missedBy({ at: cutAt, backAt }, from, { feeds }, times) {
  let caughtUpAt;
  for (const [feed, published] of times.entries()) {
    for (const [n, at] of published.entries()) {
      if (at < from) continue;
      if (at >= backAt) break;
      const seenAt = feeds[feed][n];
      if (seenAt === undefined) return { isWhole: false };
      if (seenAt > cutAt && seenAt > (caughtUpAt ?? 0)) caughtUpAt = seenAt;
    }
  }
  return { isWhole: true, caughtUpAt };
}

/** What became of the publishes of clients: what was acknowledged must be with every member of the room, once. */
function addPublishes(sum, players, said) {
  for (const { number, publishes, received: own } of players) {
    sum.outOfOrder += own.saidOutOfOrder;
    const members = membersOf(number, players);
    for (const { id, outcome } of publishes) {
      sum.made++;
      if (outcome === 'acknowledged') sum.acknowledged++;
      else sum.failed++;
      if (said.get(id) > 1) sum.handledTwice++;
      if (members.some(({ received }) => received.room.get(id) > 1)) sum.doubled++;
      if (outcome === 'acknowledged' && members.some(({ received }) => !received.room.has(id))) sum.missing++;
    }
  }
}

/** `p50 / p99` of durations, in milliseconds or seconds. */
export function spread(durations) {
  if (durations.length === 0) return '–';
  return `${duration(percentile(durations, 0.5))} / ${duration(percentile(durations, 0.99))}`;
}

function duration(ms) {
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** `0.99987` → `99.987 %`: never 100 where something is missing. */
export function share(part, whole) {
  if (part === whole) return '100 %';
  const value = (100 * part) / whole;
  return `${Math.min(value, 99.999).toFixed(value > 99.9 ? 3 : 1)} %`;
}
