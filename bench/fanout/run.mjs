// Deliveries per second and CPU per delivery of fan-out, side by side in one run: `npm run bench:fanout`.
// Rounds of the servers alternate, every turn is a closed loop (the next one starts when every byte of the last has
// arrived), and CPU is what the operating system charged the server's process.
import { fileURLToPath } from 'node:url';
import { RawClient } from '../support/raw-client.mjs';
import { canPin, startServer } from '../support/server-process.mjs';
import { median, printTable, thousands } from '../support/statistics.mjs';

const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const bytes = Number(process.env.BYTES ?? 128);
const rounds = Number(process.env.ROUNDS ?? 7);
const eventsPerTurn = (process.env.EVENTS ?? '1,10').split(',').map(Number);
/** Turns of one round: enough of them that its beginning, a collected heap and cold caches, does not count. */
const turnsPerRound = (perTurn) => Number(process.env.TURNS ?? Math.max(30, Math.ceil(100 / perTurn)));

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const contenders = [
  { name: 'ws, naive loop', script: here('server-naive.mjs') },
  { name: 'ws, prepared frame', script: here('server-prepared.mjs') },
  { name: 'nestjs-realtime', script: here('server-library.mjs'), join: joinLibrary, path: '/realtime' },
];

function joinLibrary(client) {
  client.send(JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } }));
  client.send(JSON.stringify({ type: 'subscribe', id: 's', channel: 'bench.fanout' }));
}

/** Opens the subscribers of one server and waits until nothing more comes: then all of them are subscribed. */
async function populate(contender) {
  const server = await startServer(contender.script, { bytes });
  const load = { received: 0, waiting: undefined };
  const buffer = Buffer.alloc(1024 * 1024);
  const onBytes = (length) => {
    load.received += length;
    load.waiting?.();
  };
  const clients = [];
  for (let index = 0; index < subscribers; index += 50) {
    const opened = await Promise.all(
      Array.from({ length: Math.min(50, subscribers - index) }, () =>
        RawClient.open(server.port, { path: contender.path, buffer, onBytes }),
      ),
    );
    for (const client of opened) contender.join?.(client);
    clients.push(...opened);
  }
  for (let before = -1; before !== load.received;) {
    before = load.received;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return { ...contender, server, load, clients };
}

/** One round: turns in a closed loop. Returns what a delivery cost. */
async function round({ name, server, load }, perTurn) {
  const start = await server.ask({ type: 'begin' });
  let before = start.written;
  const base = load.received - start.written;
  const cpuOfLoad = process.cpuUsage();
  const startedAt = process.hrtime.bigint();
  const turns = turnsPerRound(perTurn);
  for (let turn = 0; turn < turns; turn++) {
    const { written } = await server.ask({ type: 'turn', events: perTurn });
    // A server that writes less than the payloads did not reach everybody: the figures would be a fiction.
    if (written - before < perTurn * subscribers * bytes)
      throw new Error(`${name} did not write to every subscriber`);
    before = written;
    if (load.received - base < written) {
      await new Promise((resolve) => {
        load.waiting = () => {
          if (load.received - base >= written) resolve();
        };
      });
      load.waiting = undefined;
    }
  }
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  const { cpuMicros } = await server.ask({ type: 'end' });
  const { user, system } = process.cpuUsage(cpuOfLoad);
  const deliveries = turns * perTurn * subscribers;
  return {
    cpuPerDelivery: cpuMicros / deliveries,
    rate: deliveries / seconds,
    loadShare: (user + system) / 1e6 / seconds,
  };
}

const running = [];
for (const contender of contenders) running.push(await populate(contender));
console.log(
  `fan-out: ${thousands(subscribers)} subscribers, ${bytes} B payload, ${rounds} alternating rounds, ` +
    `Node ${process.version}${canPin ? ', server on core 0' : ', not pinned'}`,
);
let failed = false;
for (const perTurn of eventsPerTurn) {
  const results = new Map(running.map(({ name }) => [name, []]));
  // The first round of each warms the code up and is not counted.
  for (const contender of running) await round(contender, perTurn);
  for (let index = 0; index < rounds; index++) {
    for (const contender of running) results.get(contender.name).push(await round(contender, perTurn));
  }
  const naive = median(results.get(contenders[0].name).map(({ cpuPerDelivery }) => cpuPerDelivery));
  console.log(`\n${perTurn} event${perTurn === 1 ? '' : 's'} per turn`);
  printTable(
    ['server', 'deliveries/s', 'CPU µs/delivery', '× naive (CPU)', 'load generator CPU'],
    running.map(({ name }) => {
      const samples = results.get(name);
      const cpu = median(samples.map(({ cpuPerDelivery }) => cpuPerDelivery));
      return [
        name,
        thousands(median(samples.map(({ rate }) => rate))),
        cpu.toFixed(2),
        (naive / cpu).toFixed(2),
        `${Math.round(100 * median(samples.map(({ loadShare }) => loadShare)))} %`,
      ];
    }),
  );
  const library = median(results.get('nestjs-realtime').map(({ cpuPerDelivery }) => cpuPerDelivery));
  const wanted = perTurn >= 10 ? 10 : 1;
  if (naive / library < wanted) {
    failed = true;
    console.log(`BELOW the promise of ${wanted} × the naive loop at ${perTurn} per turn`);
  }
}
for (const { clients, server } of running) {
  for (const client of clients) client.close();
  server.stop();
}
process.exitCode = failed ? 1 : 0;
