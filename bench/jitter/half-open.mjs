// Clients whose connection goes silent without an end, while events flow: `npm run bench:half-open`. See bench/README.md.
import { seededRandom } from '../floods/random.mjs';
import { missingPeer } from '../support/peers.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';

const clients = Number(process.env.CLIENTS ?? 100);
const perSecond = Number(process.env.PER_SECOND ?? 1);
const seed = Number(process.env.SEED ?? 1);
/** Within this time each client loses its connection once. */
const WITHIN_MS = 15_000;

const missing = missingPeer('@socket.io/redis-streams-adapter');
if (missing !== undefined) throw new Error(missing);
const { single } = await import('./contenders.mjs');
const { playTurn, startContender } = await import('./turn.mjs');
const { tellNoticed, tellPublishes, targetsOf } = await import('./tell.mjs');

pinLoadGenerator();
const report = new Report(
  'half-open',
  `${clients} clients of each server at the same time, three channels with ${perSecond} event a second each and rooms of ten in which each client publishes every 2 s; each client’s connection goes silent once, seed ${seed}`,
);

/** How long each takes at most to notice it, and then to come back. */
const settings = [
  { title: 'with the defaults of each', heartbeat: undefined, noticeMs: 48_000 },
  {
    title: 'with a heartbeat of 5 s and 5 s for its answer',
    heartbeat: { interval: 5_000, timeout: 5_000 },
    noticeMs: 14_000,
  },
];
for (const { title, heartbeat, noticeMs } of settings) {
  const running = await Promise.all(
    single.map((contender) => startContender(contender, { bytes: 100, heartbeat })),
  );
  await Promise.all(
    running.map(async (contender) => {
      const random = seededRandom(seed);
      const load = {
        clients,
        perSecond,
        publishMs: 2_000,
        turnMs: WITHIN_MS + noticeMs,
        everyMs: WITHIN_MS,
        cuts: 1,
      };
      // Half of the clients still reach the server, and hear nothing of it.
      const cut = (line) => line.hold(random() < 0.5 ? 'both' : 'down');
      contender.turns.push(await playTurn(contender, { ...load, patienceMs: 30_000, cut }, random));
    }),
  );
  for (const { servers } of running) for (const server of servers) server.stop();
  tellNoticed(report, running, `Half-open connections, ${title}`);
  tellPublishes(report, running, `Publishes of the clients, ${title}`);
  targetsOf(report, running, `, ${title}`);
}
report.end();
