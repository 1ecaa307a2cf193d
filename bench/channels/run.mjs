// Many small channels against a large one: `npm run bench:channels`. See bench/README.md.
import { fileURLToPath } from 'node:url';
import { closedLoop } from '../support/closed-loop.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { joins, openSubscribers } from '../support/subscribers.mjs';
import { SHARED, small } from './names.mjs';

const groups = Number(process.env.CLIENT_GROUPS ?? 100);
const membersPerGroup = Number(process.env.MEMBERS ?? 10);
const channelsPerGroup = Number(process.env.CHANNELS ?? 100);
const rounds = Number(process.env.ROUNDS ?? 9);
const roundMs = Number(process.env.ROUND_MS ?? 500);
const bytes = 128;
const connections = groups * membersPerGroup;

pinLoadGenerator();
const report = new Report(
  'channels',
  `${thousands(groups * channelsPerGroup)} channels of ${membersPerGroup} subscribers, ${thousands(connections)} connections ` +
    `in ${channelsPerGroup} of them each, ${rounds} alternating rounds of ${roundMs} ms`,
);
const script = fileURLToPath(new URL('server.mjs', import.meta.url));
const server = await startServer(script, { groups, channelsPerGroup, bytes });
const load = await openSubscribers(server.port, joinOf, connections);

const kinds = { shared: [], small: [] };
for (let index = -1; index < rounds; index++) {
  for (const [kind, samples] of Object.entries(kinds)) {
    const sample = await closedLoop(
      { name: 'nestjs-realtime', server, load },
      { turn: { type: kind }, deliveries: connections, leastBytes: connections * bytes, roundMs },
    );
    if (index >= 0) samples.push(sample);
  }
}
for (const client of load.clients) client.close();
server.stop();

const cpuOf = (kind) => kinds[kind].map(({ cpuPerDelivery }) => cpuPerDelivery);
const row = (name, kind) => [
  name,
  median(cpuOf(kind)).toFixed(2),
  medianRatio(cpuOf(kind), cpuOf('shared')).toFixed(2),
  thousands(median(kinds[kind].map(({ rate }) => rate))),
  percent(median(kinds[kind].map(({ loadShare }) => loadShare))),
];
report.table({
  title: `One event to each of ${thousands(connections)} connections in one turn`,
  columns: ['published to', 'CPU µs/delivery', '×', 'deliveries/s', 'load generator CPU'],
  rows: [
    row(`one channel of ${thousands(connections)}`, 'shared'),
    row(
      `${thousands(groups)} of ${thousands(groups * channelsPerGroup)} channels of ${membersPerGroup}`,
      'small',
    ),
  ],
  note: 'The same connections, and as many writes: each turn takes another channel of each group.',
});
report.target('CPU per delivery, small channels / one large', {
  atMost: 1.25,
  measured: medianRatio(cpuOf('small'), cpuOf('shared')),
});
report.end();

/** Everybody subscribes to the channel of all and to those of their group. */
function joinOf(index) {
  const group = Math.floor(index / membersPerGroup);
  const own = Array.from({ length: channelsPerGroup }, (_, channel) => small(group, channel));
  return joins.library([SHARED, ...own]);
}
