// How late deliveries are at half load: `npm run bench:latency`. See bench/README.md.
import { available, contenders, LIBRARY, NAIVE, PREPARED, SOCKET_IO, UWS } from '../fanout/contenders.mjs';
import { dismiss, offer, populate, workedOff } from '../steady/offer.mjs';
import { startPublisher } from '../steady/publisher-process.mjs';
import { saturation } from '../steady/saturation.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, percent, thousands } from '../support/statistics.mjs';

const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const measureMs = Number(process.env.ROUND_MS ?? 2_000);
const rounds = Number(process.env.ROUNDS ?? 3);

pinLoadGenerator();
const { present, missing } = available(
  contenders.filter(({ name }) => [NAIVE, PREPARED, SOCKET_IO, UWS, LIBRARY].includes(name)),
);
const report = new Report('latency', `${thousands(subscribers)} subscribers, 128 B`);
const publisher = startPublisher(128);
const running = [];
for (const contender of present) {
  const populated = await populate(contender, subscribers);
  const limit = await saturation(populated, publisher, { from: 32, steps: 2, measureMs: 800 });
  if (limit === undefined) {
    missing.set(contender.name, 'sustains nothing on this machine');
    dismiss(populated);
  } else running.push({ ...populated, limit: limit.perSecond });
}
const naive = running.find(({ name }) => name === NAIVE)?.limit ?? Number.NaN;
await measure('At half of what each server sustains', ({ limit }) => limit / 2);
await measure('At the same rate for all, half of what the naive loop sustains', () => naive / 2);
running.forEach(dismiss);
publisher.stop();
report.end();

async function measure(title, rateOf) {
  const samples = new Map(running.map(({ name }) => [name, []]));
  for (let index = 0; index < rounds; index++) {
    for (const contender of running) {
      samples.get(contender.name).push(await offer(contender, publisher, rateOf(contender), { measureMs }));
      await workedOff(contender);
    }
  }
  const of = (name, field) => median(samples.get(name)?.map((sample) => sample[field]) ?? []);
  report.table({
    title,
    columns: ['server', 'events/s', 'p50 ms', '× ws', 'p99 ms', '× ws', 'CPU', 'load generator CPU'],
    rows: [
      ...running.map(({ name }) => [
        name,
        thousands(of(name, 'perSecond')),
        of(name, 'p50').toFixed(1),
        (of(name, 'p50') / of(NAIVE, 'p50')).toFixed(2),
        of(name, 'p99').toFixed(1),
        (of(name, 'p99') / of(NAIVE, 'p99')).toFixed(2),
        percent(of(name, 'cpuShare')),
        percent(of(name, 'loadShare')),
      ]),
      ...[...missing].map(([name, reason]) => [name, reason, '', '', '', '', '', '']),
    ],
    note: 'From the moment at which an event was due to the moment at which a subscriber had it.',
  });
}
