import { startMeasuring } from '../support/load.mjs';
import { printTable } from '../support/report.mjs';
import { percent, thousands } from '../support/statistics.mjs';
import { openSubscribers } from '../support/subscribers.mjs';
import { startApplication } from './clients.mjs';
import { nodeLoad } from './node.load.mjs';
import { planOf } from './plan.mjs';
import { publisherOf } from './publisher.mjs';
import { joinOf } from './transports.mjs';

const CONNECTIONS = 4_000;
const CHANNELS = 8;
/** Loads that were not fitted: published by clients, at a rate, to several channels at once; nothing waits in the first two. */
const RATES = { websocket: [50, 100, 1_000, 2_000], sse: [50, 100, 500, 1_000], polling: [10, 20, 100, 500] };
/** One subscriber in so many counts the events that it receives; the others would make the load generator the limit. */
const LISTENER_EVERY = 101;
const WARM_UP_MS = 3_000;
const MEASURE_MS = 6_000;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Measures loads that were not fitted, and prints what was predicted beside what was measured. */
export async function checkModel(costs) {
  console.log(
    `\nChecking ${costs.transport} with ${thousands(CONNECTIONS)} subscribers of ${CHANNELS} channels …`,
  );
  const server = await startApplication();
  const heard = { events: 0, by: 0 };
  const load = await openSubscribers(
    server.port,
    (index) => joinOf(costs.transport, `user-${index}`, [`check-${index % CHANNELS}`]),
    CONNECTIONS,
    (index) => (index % LISTENER_EVERY === 0 ? listenerOf(heard) : undefined),
  );
  // For all rates: an id that was used before would be a duplicate.
  const publish = publisherOf(costs.transport, CHANNELS);
  const rows = [];
  for (const rate of RATES[costs.transport])
    rows.push(rowOf(costs, rate, await measure(server, load, { heard, publish, rate })));
  for (const client of load.clients) client.close();
  server.stop();
  printTable(
    [
      'events/s',
      'CPU predicted',
      'measured',
      'error',
      'memory predicted',
      'measured',
      'error',
      'received',
      'load generator CPU',
    ],
    rows,
  );
}

function rowOf(costs, rate, measured) {
  // The bench turns the heartbeat off, and nobody comes or goes.
  const plan = planOf({
    connections: CONNECTIONS,
    channels: CHANNELS,
    rate,
    heartbeat: 3_600,
    lifetime: 1e9,
  });
  const predicted = nodeLoad(plan, costs, 1);
  const error = (a, b) => `${a >= b ? '+' : ''}${Math.round((100 * (a - b)) / b)} %`;
  const megabytes = (value) => `${thousands(value / 1e6)} MB`;
  return [
    thousands(rate),
    percent(predicted.cpu),
    percent(measured.cpu),
    error(predicted.cpu, measured.cpu),
    megabytes(predicted.memory),
    megabytes(measured.rss),
    error(predicted.memory, measured.rss),
    percent(measured.received / (rate / CHANNELS)),
    percent(measured.loadShare),
  ];
}

/** Clients publish in turn, whatever the server does; a timer that is late sends what is due. */
async function measure(server, load, { heard, publish, rate }) {
  const startedAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1_000);
    for (; sent < due; sent++) {
      const index = sent % CONNECTIONS;
      publish(load.clients[index], index % CHANNELS);
    }
  }, 1);
  await wait(WARM_UP_MS);
  const before = await server.ask({ type: 'cpu' });
  const eventsBefore = heard.events;
  const measured = startMeasuring();
  await wait(MEASURE_MS);
  const { loadShare, seconds } = measured();
  const after = await server.ask({ type: 'cpu' });
  const { rss } = await server.ask({ type: 'resident' });
  const received = (heard.events - eventsBefore) / heard.by / seconds;
  clearInterval(timer);
  await wait(1_000);
  return {
    cpu: (after.cpuMicros - before.cpuMicros) / (after.atMicros - before.atMicros),
    rss,
    received,
    loadShare,
  };
}

/** Counts events; the few that a read cuts in their numbers are missed. */
function listenerOf(heard) {
  heard.by += 1;
  return (length, chunk) => {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
    heard.events += text.split('"seq":').length - 1;
  };
}
