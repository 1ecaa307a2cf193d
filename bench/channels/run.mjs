// Many small channels against a large one: `npm run bench:channels`. See bench/README.md.
import { fileURLToPath } from 'node:url';
import { closedLoop } from '../support/closed-loop.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { joins, openSubscribers } from '../support/subscribers.mjs';
import { SHARED, small } from './names.mjs';

const groups = Number(process.env.CLIENT_GROUPS ?? 1_000);
const membersPerGroup = Number(process.env.MEMBERS ?? 10);
const channelsPerGroup = Number(process.env.CHANNELS ?? 10);
const rounds = Number(process.env.ROUNDS ?? 9);
const roundMs = Number(process.env.ROUND_MS ?? 1_000);
const bytes = 128;
const connections = groups * membersPerGroup;
const LIBRARY = 'nestjs-realtime';

const script = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
/** How a client of a group joins its channels, and the one of all. */
const contenders = [
  {
    name: 'ws, a set per channel',
    script: script('ws'),
    join: (group) => ({ ...joins.plain, path: `/?group=${group}` }),
  },
  {
    name: 'Socket.IO, rooms',
    script: script('socket-io'),
    join: (group) => ({ ...joins.socketIo, path: `${joins.socketIo.path}&group=${group}` }),
  },
  {
    name: LIBRARY,
    script: script('library'),
    join(group) {
      const own = Array.from({ length: channelsPerGroup }, (_, channel) => small(group, channel));
      return joins.library([SHARED, ...own]);
    },
  },
];

pinLoadGenerator();
const report = new Report(
  'channels',
  `${thousands(groups * channelsPerGroup)} channels of ${membersPerGroup} subscribers, ${thousands(connections)} connections ` +
    `in ${channelsPerGroup} of them each, ${rounds} alternating rounds of ${roundMs} ms`,
);
const measured = [];
// One server after the other: the connections of all would be more than a process may have open. What is compared, small
// channels and a large one, alternates within each.
for (const { name, join, script: file } of contenders) {
  const server = await startServer(file, { groups, channelsPerGroup, bytes });
  const joinOf = (index) => join(Math.floor(index / membersPerGroup));
  const load = await openSubscribers(server.port, joinOf, connections);
  const samples = { shared: [], small: [] };
  for (let index = -1; index < rounds; index++) {
    const kinds = Object.entries(samples);
    // Whoever is second finds what the first left behind, so they take turns at that too.
    for (const [type, list] of index % 2 === 0 ? kinds : kinds.reverse()) {
      const sample = await closedLoop(
        { server, load },
        { turn: { type }, deliveries: connections, leastBytes: connections * bytes, roundMs },
      );
      if (index >= 0) list.push(sample);
    }
  }
  measured.push({ name, samples });
  for (const client of load.clients) client.close();
  server.stop();
}

const cpuOf = (list) => list.map(({ cpuPerDelivery }) => cpuPerDelivery);
const ratioOf = ({ samples }) => medianRatio(cpuOf(samples.small), cpuOf(samples.shared));
const library = measured.find(({ name }) => name === LIBRARY);
report.table({
  title: `One event to each of ${thousands(connections)} connections in one turn, CPU µs/delivery`,
  columns: [
    'server',
    `one channel of ${thousands(connections)}`,
    `${thousands(groups)} of ${thousands(groups * channelsPerGroup)} channels of ${membersPerGroup}`,
    'many / one',
    'many, × the library',
    'load generator CPU',
  ],
  rows: measured.map((contender) => {
    const { name, samples } = contender;
    return [
      name,
      median(cpuOf(samples.shared)).toFixed(2),
      median(cpuOf(samples.small)).toFixed(2),
      ratioOf(contender).toFixed(2),
      medianRatio(cpuOf(samples.small), cpuOf(library.samples.small)).toFixed(2),
      percent(median(samples.small.map(({ loadShare }) => loadShare))),
    ];
  }),
  note: 'The same connections, and as many writes: each turn takes another channel of each group. An event of a small channel is published, numbered, kept and encoded for ten clients, and finds the caches cold.',
});
report.target('CPU per delivery of the library, small channels / one large', {
  atMost: 1.25,
  measured: ratioOf(library),
});
report.end();
