// The brokers side by side in one run: `npm run bench:brokers`. See bench/README.md.
import { canPin, pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, thousands } from '../support/statistics.mjs';
import { contenders } from './contenders.mjs';
import { measurePublishing } from './publishing.mjs';
import { measureRetaining } from './retaining.mjs';

const rounds = Number(process.env.ROUNDS ?? 7);
const roundMs = Number(process.env.ROUND_MS ?? 1_500);
const warmUpMs = Number(process.env.WARM_UP_MS ?? 5_000);
const limit = Number(process.env.IN_FLIGHT ?? 1_024);
const bytes = Number(process.env.BYTES ?? 128);
const channels = Number(process.env.CHANNELS ?? 64);
const events = Number(process.env.RETAINED ?? 100_000);
/** Events of each channel that are kept. */
const EACH = 1_000;
const wanted = process.env.BROKERS?.split(',');
const taking = contenders.filter(({ kind }) => wanted?.includes(kind) ?? true);

pinLoadGenerator();
const report = new Report(
  'brokers',
  `${bytes} B, ${thousands(channels)} channels, ${rounds} alternating rounds; one server of each, one copy, one further node`,
  canPin ? 'nodes on core 0, server on core 1' : 'not pinned',
);
const figure = (value, show) => (Number.isFinite(value) ? show(value) : '–');
const tenth = (value) => value.toFixed(1);
const digits = (value) => String(Number(value.toPrecision(value < 1 ? 2 : 3)));

const { load, oneByOne } = await measurePublishing(taking, {
  rounds,
  roundMs,
  warmUpMs,
  channels,
  bytes,
  limit,
});
const middle = (samples, name, field) => median(samples.get(name).map((sample) => sample[field]));
report.table({
  title: `Acknowledged publishes under load: ${thousands(limit)} under way`,
  columns: ['broker', 'publishes/s', 'CPU µs of the node', 'of a further node', 'of the server'],
  rows: taking.map(({ name }) => [
    name,
    thousands(middle(load, name, 'rate')),
    ...['publisher', 'receiver', 'server'].map((field) => figure(middle(load, name, field), tenth)),
  ]),
  note: 'Each under an id that is looked up. CPU is per event. A publish counts when it was acknowledged and has arrived at the further node, which is subscribed to all channels; both nodes share a core.',
});
report.table({
  title: 'Publishes one by one, each awaited',
  columns: ['broker', 'p50 ms', 'p99 ms'],
  rows: taking.map(({ name }) => [
    name,
    ...['p50', 'p99'].map((field) => figure(middle(oneByOne, name, field), digits)),
  ]),
  note: 'A further node receives them. Each server writes to its disk as by default: Redis with an append-only file that is synced each second, Kafka when the system does, NATS every two minutes.',
});

const kept = [];
for (const contender of taking) {
  const settings = { events, channels: Math.ceil(events / EACH), bytes };
  kept.push([contender.name, await measureRetaining(contender, settings)]);
}
report.table({
  title: `${thousands(events)} events that are kept`,
  columns: [
    'broker',
    'bytes of a node, each',
    'memory of the server, each',
    'disk of the server, each',
    'a further node starts in ms',
    'first read ms',
    'a first node started in ms',
  ],
  rows: kept.map(([name, { node, memory, disk, startMs, readMs, emptyMs }]) => [
    name,
    ...[node, memory, disk, startMs].map((value) => figure(value, thousands)),
    figure(readMs, tenth),
    figure(emptyMs, thousands),
  ]),
  note: 'The start of the process, a tenth of a second, is in the times. The memory of Kafka is a heap that grows up to 1 GiB by itself and says little of an event. With Redis a node keeps no events.',
});
report.end();
