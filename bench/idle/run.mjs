// What an idle connection keeps in memory: `npm run bench:idle`. See bench/README.md.
import { contenders, LIBRARY, PLATFORM_WS, SOCKET_IO, WS } from '../connect/contenders.mjs';
import { disperse, storm, tokens } from '../connect/storm.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, thousands } from '../support/statistics.mjs';

const connections = Number(process.env.CONNECTIONS ?? 10_000);
const rounds = Number(process.env.ROUNDS ?? 1);
/** Connections that come and go first, so that compiled code is not counted as theirs. */
const WARM_UP = 1_000;

pinLoadGenerator();
const report = new Report(
  'idle',
  `${thousands(connections)} connections, ${rounds} round${rounds === 1 ? '' : 's'}`,
);
const all = tokens(connections);
const found = new Map(contenders.map(({ name }) => [name, []]));
for (let index = 0; index < rounds; index++) {
  for (const contender of contenders) found.get(contender.name).push(await measure(contender));
}

/** Memory of a process of its own with and without the connections, after collecting. */
async function measure(contender) {
  const running = { ...contender, server: await startServer(contender.script, {}) };
  const { clients: first } = await storm(running, all.slice(0, WARM_UP));
  await disperse(running, first);
  const empty = await running.server.ask({ type: 'memory' });
  const { clients } = await storm(running, all);
  const full = await running.server.ask({ type: 'memory' });
  for (const client of clients) client.close();
  running.server.stop();
  return {
    rss: (full.rss - empty.rss) / connections,
    heap: (full.heapUsed - empty.heapUsed) / connections,
  };
}

const rss = (name) => median(found.get(name).map((sample) => sample.rss));
const heap = (name) => median(found.get(name).map((sample) => sample.heap));
report.table({
  title: 'Bytes per idle connection, authenticated and subscribed to one channel',
  columns: ['server', 'RSS', 'library / server', 'JavaScript heap'],
  rows: contenders.map(({ name }) => [
    name,
    thousands(rss(name)),
    (rss(LIBRARY) / rss(name)).toFixed(2),
    thousands(heap(name)),
  ]),
  note: 'After collecting. What the kernel keeps for both ends of a socket is not in it.',
});
report.target('RSS per connection, library / Socket.IO', {
  atMost: 0.6,
  measured: rss(LIBRARY) / rss(SOCKET_IO),
});
report.target('RSS per connection, library / @nestjs/platform-ws', {
  atMost: 0.7,
  measured: rss(LIBRARY) / rss(PLATFORM_WS),
});
report.target('RSS per connection beyond that of ws, bytes', {
  atMost: 3_000,
  measured: rss(LIBRARY) - rss(WS),
});
report.end();
