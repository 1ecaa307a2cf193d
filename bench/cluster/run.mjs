// What several nodes over one Redis cost, side by side in one run: `npm run bench:cluster`. See bench/README.md.
import { missingPeer } from '../support/peers.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { thousands } from '../support/statistics.mjs';
import { ratioOf } from './rounds.mjs';

const bytes = Number(process.env.BYTES ?? 128);
const rounds = Number(process.env.ROUNDS ?? 7);
const warmUpMs = Number(process.env.WARM_UP_MS ?? 5_000);
const inFlight = Number(process.env.IN_FLIGHT ?? 1_024);
const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const eventsPerTurn = (process.env.EVENTS ?? '1,10').split(',').map(Number);
const roundMs = Number(process.env.ROUND_MS ?? 1_500);
/** Of `publishing`, `spreading` and `deliveries`. */
const parts = (process.env.ONLY ?? 'publishing,spreading,deliveries').split(',');

const missing = missingPeer('@socket.io/redis-streams-adapter');
if (missing !== undefined) throw new Error(missing);
const { BROKER, BY_HAND, EACH, measurePublishing, tellPublishing } = await import('./publishing.mjs');
const { measureSpreading, tellSpreading } = await import('./spreading.mjs');
const { measureDeliveries, tellDeliveries, WITH_LOG, WITHOUT_LOG } = await import('./deliveries.mjs');

pinLoadGenerator();
const report = new Report('cluster', `one Redis, ${bytes} B, ${rounds} alternating rounds`);
if (parts.includes('publishing')) await publishing();
if (parts.includes('spreading')) tellSpreading(report, await measureSpreading({ rounds, bytes }));
if (parts.includes('deliveries')) await delivering();
report.end();

async function publishing() {
  const { load, oneByOne } = await measurePublishing({ rounds, roundMs, warmUpMs, inFlight, bytes });
  tellPublishing(report, load, {
    title: `Publishing under load: ${thousands(inFlight)} publishes under way, received by two nodes`,
    control: BY_HAND,
    note: 'Redis has core 0, publisher and nodes share core 1. CPU is per message. A message counts when it was acknowledged and has arrived at both nodes. What binds is the publisher: every publish has an id, a promise and a result of its own. Redis would take two to three times as many.',
  });
  tellPublishing(report, oneByOne, {
    title: 'Publishing one by one, each awaited',
    control: EACH,
    note: 'Bound by latency: the processes wait for one another.',
  });
  report.target('messages/s of the broker under load / PUBLISH, pipelined by hand', {
    atLeast: 5,
    measured: ratioOf(load, BROKER, BY_HAND),
  });
  report.target('messages/s of the broker / PUBLISH, each awaited', {
    atLeast: 0.333,
    measured: ratioOf(oneByOne, BROKER, EACH),
  });
}

async function delivering() {
  const deliveries = await measureDeliveries({ subscribers, bytes, eventsPerTurn, rounds, roundMs });
  for (const [perTurn, byName] of deliveries) {
    const events = `${perTurn} event${perTurn === 1 ? '' : 's'}`;
    tellDeliveries(report, byName, {
      title: `Two nodes, ${thousands(subscribers)} subscribers in all, ${events} per turn`,
      note: 'Both nodes share core 0; Redis and the load generator share core 1.',
    });
    const name = `with sequence, history and dedupe / without, ${perTurn} per turn`;
    report.target(`deliveries/s ${name}`, {
      atLeast: 0.85,
      measured: ratioOf(byName, WITH_LOG, WITHOUT_LOG),
    });
    report.target(`deliveries for the same CPU of the nodes ${name}`, {
      atLeast: 0.85,
      measured: ratioOf(byName, WITHOUT_LOG, WITH_LOG, 'cpu'),
    });
  }
}
