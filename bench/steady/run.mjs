// CPU and latency at a steady stream of events from outside: `npm run bench:steady`. See bench/README.md.
import { available, contenders, LIBRARY, SOCKET_IO, UWS } from '../fanout/contenders.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, percent, thousands } from '../support/statistics.mjs';
import { dismiss, keptUp, offer, populate, workedOff } from './offer.mjs';
import { startPublisher } from './publisher-process.mjs';

const numbers = (text) => text.split(',').map(Number);
const rates = numbers(process.env.RATE ?? '1000');
const sizes = numbers(process.env.SUBSCRIBERS ?? '1000,50');
const rounds = Number(process.env.ROUNDS ?? 3);
const measureMs = Number(process.env.ROUND_MS ?? 2_000);

pinLoadGenerator();
const { present, missing } = available(
  contenders.filter(({ name }) => [SOCKET_IO, UWS, LIBRARY].includes(name)),
);
const report = new Report('steady', `${rounds} alternating rounds of ${measureMs} ms`);
const publisher = startPublisher(128);
for (const subscribers of sizes) {
  for (const rate of rates) {
    const running = [];
    for (const contender of present) running.push(await populate(contender, subscribers));
    await measure(running, subscribers, rate);
  }
}
publisher.stop();
report.end();

async function measure(running, subscribers, rate) {
  const samples = new Map(running.map(({ name }) => [name, []]));
  let alive = running;
  for (let index = 0; index < rounds; index++) {
    const keeping = [];
    for (const contender of alive) {
      const sample = await offer(contender, publisher, rate, { measureMs });
      samples.get(contender.name).push(sample);
      // It would have to work off for minutes what it was sent in seconds: its first round says it all.
      if (!keptUp(sample)) dismiss(contender);
      else {
        await workedOff(contender);
        keeping.push(contender);
      }
    }
    alive = keeping;
  }
  alive.forEach(dismiss);
  const of = (name, field) => median(samples.get(name).map((sample) => sample[field]));
  report.table({
    title: `${thousands(rate)} events a second from outside to ${thousands(subscribers)} subscribers`,
    columns: [
      'server',
      'CPU',
      'CPU µs/delivery',
      'events/s received',
      'p50 ms',
      'p99 ms',
      'load generator CPU',
    ],
    rows: [
      ...running.map(({ name }) => [
        name,
        percent(of(name, 'cpuShare')),
        of(name, 'cpuPerDelivery').toFixed(2),
        `${thousands(of(name, 'received'))}${samples.get(name).every(keptUp) ? '' : ', falls behind'}`,
        of(name, 'p50').toFixed(1),
        of(name, 'p99').toFixed(1),
        percent(of(name, 'loadShare')),
      ]),
      ...[...missing].map(([name, reason]) => [name, reason, '', '', '', '', '']),
    ],
    note: 'The latency of a server that falls behind grows for as long as the bench runs.',
  });
  if (rate !== 1_000 || subscribers !== 1_000) return;
  // Not of their shares of a core: one that falls behind cannot use more than all of it.
  report.target('CPU per delivery, library / Socket.IO', {
    atMost: 0.33,
    measured: of(LIBRARY, 'cpuPerDelivery') / of(SOCKET_IO, 'cpuPerDelivery'),
  });
  report.target('p99 of delivery, library / Socket.IO', {
    atMost: 1,
    measured: of(LIBRARY, 'p99') / of(SOCKET_IO, 'p99'),
  });
}
