// What a rolling restart of three nodes does to clients under load, beside Socket.IO: `npm run bench:rolling`. See bench/README.md.
import { missingPeer } from '../support/peers.mjs';
import { Report } from '../support/report.mjs';
import { percent, thousands } from '../support/statistics.mjs';
import { spreadOf } from './outcome.mjs';
import { rollOut } from './rollout.mjs';
import { scaleOutAndIn } from './scaling.mjs';

const clients = Number(process.env.CLIENTS ?? 2_000);
const rooms = Number(process.env.ROOMS ?? 4);
const perSecond = Number(process.env.EVENTS ?? 10);
const rounds = Number(process.env.ROUNDS ?? 2);
const scaledClients = Number(process.env.SCALED_CLIENTS ?? clients / 2);
const times = { steadyMs: 5_000, calmMs: 1_500 };

const LIBRARY = 'library';
const SOCKET_IO = 'Socket.IO';
/** Over how long clients come back, in milliseconds: `drain.spread`, and `reconnectionDelay` with its `randomizationFactor`. */
const WINDOW_MS = { [LIBRARY]: 5_000, [SOCKET_IO]: 1_000 };
const SCRIPTS = { [LIBRARY]: 'library', [SOCKET_IO]: 'socket-io' };
/** What docs/operations.md says that an orchestrator must give, with the default of `drain.deadline`. */
const GRACE_MS = 15_000;

const missing = missingPeer('@socket.io/redis-streams-adapter');
if (missing !== undefined) throw new Error(missing);

const settingsOf = (name) => ({
  contender: SCRIPTS[name],
  clients,
  clientProcesses: 2,
  rooms,
  ticksPerSecond: perSecond,
  saidPerSecond: 1,
  nodes: 3,
});
const report = new Report(
  'rolling',
  `${thousands(clients)} clients in ${rooms} channels, each with ${perSecond} events a second of a service and one of a client`,
  'not pinned',
);
const results = { [LIBRARY]: [], [SOCKET_IO]: [] };
for (let round = 0; round < rounds; round++) {
  for (const name of Object.keys(results)) {
    const result = await rollOut(settingsOf(name), times);
    results[name].push(result);
    for (const line of result.lines.slice(0, 20)) console.log(`${name} wrote: ${line}`);
  }
}
const scaled = await scaleOutAndIn(
  { ...settingsOf(LIBRARY), clients: scaledClients, options: { maxConnectionAge: '15s' } },
  { calmMs: times.calmMs, balanceMs: 60_000 },
);

const names = Object.keys(results);
const ms = (value) => thousands(value);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const total = (list, name) => sum(list.map((result) => result[name]));
const restartsOf = (name) => results[name].flatMap(({ restarts }) => restarts);
const silencesOf = (name) => restartsOf(name).flatMap(({ silences }) => silences);
const peakOf = (name) => {
  const peaks = restartsOf(name).map(
    ({ largestPerSecond, moved }) => largestPerSecond / (moved / (WINDOW_MS[name] / 1_000)),
  );
  return Math.max(...peaks);
};
const failedOf = (list) => sum(list.map(({ failed }) => failed.length));
const returnedOf = (list, kind) => sum(list.map(({ recoveries }) => recoveries[kind] ?? 0));

report.table({
  title: 'Events',
  columns: [
    'server',
    'acknowledged',
    'of clients',
    'failed',
    'to be delivered',
    'lost',
    'clients that lost',
    'doubled',
    'out of order',
    'came back recovered',
    'came back without',
  ],
  rows: names.map((name) => {
    const list = results[name];
    return [
      name,
      thousands(total(list, 'published')),
      thousands(total(list, 'publishedByClients')),
      failedOf(list),
      thousands(total(list, 'expected')),
      thousands(total(list, 'lost')),
      thousands(total(list, 'losers')),
      thousands(total(list, 'doubled')),
      thousands(total(list, 'disordered')),
      thousands(returnedOf(list, 'complete')),
      thousands(returnedOf(list, 'new') - list.length * clients + returnedOf(list, 'lost')),
    ];
  }),
  note: 'What the service and the clients published and were told is taken, beside what each client received. Without: were told that their state is gone.',
});
report.table({
  title: 'The longest time without an event, in ms',
  columns: ['clients', 'p50', 'p95', 'p99', 'longest', 'clients counted'],
  rows: names.flatMap((name) => {
    const row = (who, values) => [`${name}: ${who}`, ...spreadOf(values).map(ms), thousands(values.length)];
    return [
      row('their node ended', silencesOf(name)),
      row(
        'it did not',
        restartsOf(name).flatMap(({ stayed }) => stayed),
      ),
      row(
        'before all restarts',
        results[name].flatMap(({ steady }) => steady),
      ),
    ];
  }),
  note: `Of each client and restart. ${thousands(1_000 / perSecond)} ms are the pause between two events of the service.`,
});
report.table({
  title: 'The nodes, and the connections of their clients',
  columns: [
    'server',
    'exit codes',
    'longest end, s',
    'clients of a node',
    'came back over, s',
    'most a second',
    'of clients ÷ window',
    'found no node',
    'not back',
  ],
  rows: names.map((name) => {
    const restarts = restartsOf(name);
    return [
      name,
      [...new Set(restarts.map(({ exit }) => exit))].join(', '),
      (Math.max(...restarts.map(({ tookMs }) => tookMs)) / 1_000).toFixed(1),
      thousands(Math.max(...restarts.map(({ moved }) => moved))),
      (Math.max(...restarts.map(({ overMs }) => overMs)) / 1_000).toFixed(1),
      thousands(Math.max(...restarts.map(({ largestPerSecond }) => largestPerSecond))),
      peakOf(name).toFixed(2),
      total(restarts, 'refused'),
      total(restarts, 'absent'),
    ];
  }),
  note: 'The window is that of the defaults: 5 s (`drain.spread`), and the 0.5 to 1.5 s of `reconnectionDelay`.',
});
report.table({
  title: 'Acknowledgement of a publish of a client, in ms',
  columns: ['server', 'p50', 'p95', 'p99', 'longest'],
  rows: names.map((name) => [name, ...spreadOf(results[name].flatMap(({ latencies }) => latencies)).map(ms)]),
  note: 'Over the whole run: those that were sent while the connection of their client was gone waited for the next one.',
});
report.table({
  title: 'CPU of the processes before the restarts, of one core',
  columns: ['server', 'busiest node', 'balancer', 'service', 'busiest of two processes with clients'],
  rows: names.map((name) => {
    const most = (part) => percent(Math.max(...results[name].map(({ cpu }) => cpu[part])));
    return [name, most('node'), most('balancer'), most('source'), most('clients')];
  }),
  note: 'All of them and Redis share two cores.',
});
report.table({
  title: `One node, two, one again: ${thousands(scaledClients)} clients of the library, maxConnectionAge 15 s`,
  columns: ['stage', 'connections by node', 'moved', 'without events p50', 'p95', 'longest', 'took, s'],
  rows: scaled.stages.map(({ stage, nodes, moved = 0, silences = [], tookMs = 0 }) => {
    const [p50, p95, , longest] = spreadOf(silences);
    return [
      stage,
      nodes.join(' + '),
      thousands(moved),
      ...(moved === 0 ? ['–', '–', '–'] : [p50, p95, longest].map(ms)),
      tookMs === 0 ? '–' : (tookMs / 1_000).toFixed(1),
    ];
  }),
  note: `${thousands(scaled.published)} events acknowledged, ${thousands(scaled.expected)} to be delivered: ${scaled.lost} lost, ${scaled.doubled} doubled, ${scaled.failed.length} publishes failed. Took: until the nodes had 45 % each, and until the process had ended.`,
});

const ours = results[LIBRARY];
report.target('events lost', { atMost: 0, measured: total(ours, 'lost') + total(ours, 'gaps') });
report.target('events doubled or out of order', {
  atMost: 0,
  measured: total(ours, 'doubled') + total(ours, 'disordered'),
});
report.target('failed publishes', { atMost: 0, measured: failedOf(ours) });
report.target('nodes that did not exit with 0', {
  atMost: 0,
  measured: restartsOf(LIBRARY).filter(({ exit }) => exit !== 0).length,
});
report.target('longest end of a node / grace period', {
  atMost: 1,
  measured: Math.max(...restartsOf(LIBRARY).map(({ tookMs }) => tookMs)) / GRACE_MS,
});
report.target('connects in the busiest second / (clients / window)', {
  atMost: 1.5,
  measured: peakOf(LIBRARY),
});
for (const [index, share] of ['p50', 'p95'].entries()) {
  report.target(`${share} of the time without events / Socket.IO`, {
    atMost: 1,
    measured: spreadOf(silencesOf(LIBRARY))[index] / spreadOf(silencesOf(SOCKET_IO))[index],
  });
}
report.target('lost, doubled or failed while nodes came and went', {
  atMost: 0,
  measured: scaled.lost + scaled.doubled + scaled.failed.length,
});
report.end();
