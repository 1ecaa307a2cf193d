// How many deliveries a second one core sustains: `npm run bench:sustained`. See bench/README.md.
import { available, contenders, LIBRARY, NAIVE, SOCKET_IO, UWS } from '../fanout/contenders.mjs';
import { dismiss, populate } from '../steady/offer.mjs';
import { startPublisher } from '../steady/publisher-process.mjs';
import { MAX_P99_MS, saturation } from '../steady/saturation.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { percent, thousands } from '../support/statistics.mjs';

const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const measureMs = Number(process.env.ROUND_MS ?? 1_200);
const steps = Number(process.env.STEPS ?? 3);
const from = Number(process.env.FROM ?? 32);

pinLoadGenerator();
const { present, missing } = available(
  contenders.filter(({ name }) => [NAIVE, SOCKET_IO, UWS, LIBRARY].includes(name)),
);
const report = new Report(
  'sustained',
  `${thousands(subscribers)} subscribers, 128 B, the rate raised until p99 exceeds ${MAX_P99_MS} ms`,
);
const publisher = startPublisher(128);
const limits = new Map();
for (const contender of present) {
  const running = await populate(contender, subscribers);
  limits.set(contender.name, await saturation(running, publisher, { from, steps, measureMs }));
  dismiss(running);
}
publisher.stop();

const deliveriesOf = (name) => limits.get(name)?.deliveries ?? Number.NaN;
report.table({
  title: `Highest sustained rate to ${thousands(subscribers)} subscribers`,
  columns: ['server', 'deliveries/s', '× ws', 'events/s', 'p50 ms', 'p99 ms', 'CPU', 'load generator CPU'],
  rows: [
    ...present.map(({ name }) => {
      const sample = limits.get(name);
      if (sample === undefined) return [name, `not even ${from} events/s`, '', '', '', '', '', ''];
      return [
        name,
        thousands(sample.deliveries),
        (sample.deliveries / deliveriesOf(NAIVE)).toFixed(1),
        thousands(sample.perSecond),
        sample.p50.toFixed(1),
        sample.p99.toFixed(1),
        percent(sample.cpuShare),
        percent(sample.loadShare),
      ];
    }),
    ...[...missing].map(([name, reason]) => [name, reason, '', '', '', '', '', '']),
  ],
});
report.target('deliveries a second, library / naive ws', {
  atLeast: 25,
  measured: deliveriesOf(LIBRARY) / deliveriesOf(NAIVE),
});
report.end();
