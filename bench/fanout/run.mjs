// What fan-out costs per delivery, side by side in one run: `npm run bench:fanout`. See bench/README.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { available, contenders, LIBRARY, NAIVE, SOCKET_IO, UWS } from './contenders.mjs';
import { dismiss, populate, round } from './round.mjs';

const numbers = (text) => text.split(',').map(Number);
const full = process.env.FULL === '1';
const sizes = numbers(process.env.SUBSCRIBERS ?? (full ? '1000,5000' : '1000'));
const payloads = numbers(process.env.BYTES ?? (full ? '128,1024' : '128'));
const eventsPerTurn = numbers(process.env.EVENTS ?? '1,10,100');
const rounds = Number(process.env.ROUNDS ?? 5);
/** Long enough that a round's beginning, with caches that another server used meanwhile, does not count. */
const roundMs = Number(process.env.ROUND_MS ?? 1500);
/** Sockets that the load generator may hold at once: many systems allow a process 20,000 files. */
const MAX_SOCKETS = 18_000;

/** Wanted ratio of CPU per delivery, peer to library, by events per turn; for 1,000 subscribers and 128 bytes. */
const TARGETS = {
  1: { [NAIVE]: 1.25, [SOCKET_IO]: 1.8 },
  10: { [NAIVE]: 11, [SOCKET_IO]: 9, [UWS]: 0.85 },
  100: { [SOCKET_IO]: 75, [UWS]: 2.3 },
};

pinLoadGenerator();
const { present, missing } = available(contenders);
const report = new Report('fanout', `${rounds} alternating rounds of ${roundMs} ms`);
for (const subscribers of sizes) {
  for (const bytes of payloads) await measure({ subscribers, bytes, roundMs });
}
report.end();

async function measure(load) {
  const samples = new Map(eventsPerTurn.map((perTurn) => [perTurn, new Map()]));
  for (const group of groups(load.subscribers)) {
    const running = [];
    for (const contender of group) running.push(await populate(contender, load));
    for (const perTurn of eventsPerTurn) await alternate(running, { ...load, perTurn }, samples.get(perTurn));
    running.forEach(dismiss);
  }
  for (const perTurn of eventsPerTurn) tell(load, perTurn, samples.get(perTurn));
}

/** Contenders that run side by side. Where not all of them fit, every group has the library in it. */
function groups(subscribers) {
  const fitting = Math.max(2, Math.floor(MAX_SOCKETS / subscribers));
  if (present.length <= fitting) return [present];
  const library = present.find(({ name }) => name === LIBRARY);
  const others = present.filter((contender) => contender !== library);
  const parts = [];
  for (let index = 0; index < others.length; index += fitting - 1)
    parts.push([library, ...others.slice(index, index + fitting - 1)]);
  return parts;
}

/** Rounds of all servers in turn. Each sample keeps what the library cost in the same round. */
async function alternate(running, load, samples) {
  for (const contender of running) await round(contender, load);
  for (let index = 0; index < rounds; index++) {
    const results = new Map();
    for (const contender of running) results.set(contender.name, await round(contender, load));
    for (const [name, result] of results) {
      if (!samples.has(name)) samples.set(name, []);
      samples.get(name).push({ ...result, library: results.get(LIBRARY).cpuPerDelivery });
    }
  }
}

function tell({ subscribers, bytes }, perTurn, samples) {
  const cpuOf = (name) => samples.get(name)?.map(({ cpuPerDelivery }) => cpuPerDelivery);
  /** CPU of a peer as a multiple of the library's. */
  const ratio = (name) => {
    const cpu = cpuOf(name);
    return (
      cpu &&
      medianRatio(
        cpu,
        samples.get(name).map(({ library }) => library),
      )
    );
  };
  report.table({
    title: `${thousands(subscribers)} subscribers, ${bytes} B, ${perTurn} event${perTurn === 1 ? '' : 's'} per turn`,
    columns: ['server', 'CPU µs/delivery', '× the library', 'deliveries/s', 'load generator CPU'],
    rows: contenders.map(({ name }) => {
      if (missing.has(name)) return [name, missing.get(name), '', '', ''];
      const own = samples.get(name);
      return [
        name,
        median(cpuOf(name)).toFixed(2),
        ratio(name).toFixed(2),
        thousands(median(own.map(({ rate }) => rate))),
        percent(median(own.map(({ loadShare }) => loadShare))),
      ];
    }),
  });
  if (subscribers !== 1_000 || bytes !== 128) return;
  for (const [name, atLeast] of Object.entries(TARGETS[perTurn] ?? {}))
    report.target(`CPU of ${name} / library, ${perTurn} per turn`, { atLeast, measured: ratio(name) });
}
