// What returning clients cost that missed much: `npm run bench:replay`. See bench/README.md.
import { fileURLToPath } from 'node:url';
import { startMeasuring } from '../support/load.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { openSubscriber } from '../support/subscribers.mjs';

const clients = Number(process.env.CLIENTS ?? 1_000);
const events = Number(process.env.EVENTS ?? 1_000);
const rounds = Number(process.env.ROUNDS ?? 3);
const bytes = 128;
/** Clients that come back at the same time. */
const AT_ONCE = 200;

const script = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const hello = JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } });
const subscribe = (position) =>
  JSON.stringify({ type: 'subscribe', id: 'sub-0', channel: 'bench.replay', payload: { position } });
const contenders = [
  {
    name: 'ws, a loop over an array',
    script: script('ws'),
    join: (position) => ({ steps: [{ say: [subscribe(position)], hear: '"resumed"' }] }),
  },
  {
    name: 'nestjs-realtime',
    script: script('library'),
    join: (position) => ({
      path: '/realtime',
      steps: [
        { say: [hello], hear: '"welcome"' },
        { say: [subscribe(position)], hear: '"resumed"' },
      ],
    }),
  },
];

pinLoadGenerator();
const report = new Report(
  'replay',
  `${thousands(clients)} clients that missed ${thousands(events)} events of ${bytes} B each, ${rounds} alternating rounds`,
);
const running = [];
for (const contender of contenders) {
  const server = await startServer(contender.script, { bytes });
  const { position } = await server.ask({ type: 'prepare', events });
  running.push({ ...contender, server, position, samples: [] });
}
for (let index = -1; index < rounds; index++) {
  for (const contender of running) {
    const sample = await comeBack(contender);
    if (index >= 0) contender.samples.push(sample);
  }
}
for (const { server } of running) server.stop();

const of = (wanted, field) =>
  running.find(({ name }) => name === wanted).samples.map((sample) => sample[field]);
const LIBRARY = contenders.at(-1).name;
report.table({
  title: 'Everybody comes back at once',
  columns: [
    'server',
    'CPU µs/event',
    '× the library',
    'seconds',
    'reads of events from the log',
    'proofs of positions',
    'peak memory growth, MB',
    'load generator CPU',
  ],
  rows: contenders.map(({ name }) => [
    name,
    median(of(name, 'cpuPerEvent')).toFixed(2),
    medianRatio(of(name, 'cpuPerEvent'), of(LIBRARY, 'cpuPerEvent')).toFixed(2),
    median(of(name, 'seconds')).toFixed(1),
    ...['reads', 'proofs'].map((kind) => (name === LIBRARY ? thousands(median(of(name, kind))) : '–')),
    (median(of(name, 'growth')) / 1e6).toFixed(0),
    percent(median(of(name, 'loadShare'))),
  ]),
  note: 'Whether a position is still good is asked for all who come in one turn together; that is a read of one event.',
});
report.target('reads of events from the log per returning client', {
  atMost: 0.1,
  measured: median(of(LIBRARY, 'reads')) / clients,
});
report.end();

async function comeBack({ name, server, join, position }) {
  const buffer = Buffer.alloc(256 * 1024);
  const options = { buffer, onBytes: () => undefined };
  const opened = [];
  let started = 0;
  const opener = async () => {
    while (started < clients) {
      started += 1;
      opened.push(await openSubscriber(server.port, join(position), options));
    }
  };
  await server.ask({ type: 'watch' });
  await server.ask({ type: 'begin' });
  const measured = startMeasuring();
  await Promise.all(Array.from({ length: AT_ONCE }, opener));
  const { seconds, loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  const { growth, reads, proofs } = await server.ask({ type: 'seen' });
  for (const client of opened) {
    // Who was not given everything would make the server look fast.
    if (client.received < events * bytes) throw new Error(`${name} did not replay everything`);
    client.close();
  }
  return { cpuPerEvent: cpuMicros / (clients * events), seconds, loadShare, reads, proofs, growth };
}
