import { startMeasuring } from '../support/load.mjs';
import { printTable } from '../support/report.mjs';
import { RequestTemplate } from '../support/request-template.mjs';
import { percent, thousands } from '../support/statistics.mjs';
import { openSubscribers } from '../support/subscribers.mjs';
import { command, joinOf, startApplication } from './clients.mjs';
import { nodeLoad } from './node.load.mjs';
import { planOf } from './plan.mjs';

const CONNECTIONS = 4_000;
const CHANNELS = 8;
/** Loads that were not fitted: published by clients, at a rate, to several channels at once. */
const RATES = [50, 100, 1_000, 2_000];
const WARM_UP_MS = 3_000;
const MEASURE_MS = 6_000;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Measures loads that were not fitted, and prints what was predicted beside what was measured. */
export async function checkModel(costs) {
  console.log(`\nChecking with ${thousands(CONNECTIONS)} subscribers of ${CHANNELS} channels …`);
  const server = await startApplication();
  const load = await openSubscribers(
    server.port,
    (index) => joinOf(`user-${index}`, [`check-${index % CHANNELS}`]),
    CONNECTIONS,
  );
  const rows = [];
  for (const rate of RATES) rows.push(rowOf(costs, rate, await measure(server, load, rate)));
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
    percent(measured.received / (rate * (CONNECTIONS / CHANNELS))),
    percent(measured.loadShare),
  ];
}

/** Clients publish in turn, whatever the server does; a timer that is late sends what is due. */
async function measure(server, load, rate) {
  const templates = Array.from(
    { length: CHANNELS },
    (_, channel) => new RequestTemplate(command('publish', 'tick', `check-${channel}`, RequestTemplate.id)),
  );
  const startedAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1_000);
    for (; sent < due; sent++) {
      const index = sent % CONNECTIONS;
      load.clients[index].socket.write(templates[index % CHANNELS].next());
    }
  }, 1);
  await wait(WARM_UP_MS);
  const before = await server.ask({ type: 'cpu' });
  const bytesBefore = load.received;
  const measured = startMeasuring();
  await wait(MEASURE_MS);
  const { loadShare, seconds } = measured();
  const after = await server.ask({ type: 'cpu' });
  const { rss } = await server.ask({ type: 'resident' });
  const received = load.received - bytesBefore;
  clearInterval(timer);
  await wait(1_000);
  return {
    cpu: (after.cpuMicros - before.cpuMicros) / (after.atMicros - before.atMicros),
    rss,
    received: received / seconds,
    loadShare,
  };
}
