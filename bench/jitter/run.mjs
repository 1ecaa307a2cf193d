// Clients whose TCP is cut every 15 s while events flow: `npm run bench:jitter`. See bench/README.md.
import { seededRandom } from '../floods/random.mjs';
import { missingPeer } from '../support/peers.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { startRedis } from '../support/redis-server.mjs';
import { Report } from '../support/report.mjs';

const clients = Number(process.env.CLIENTS ?? 200);
const everyMs = Number(process.env.EVERY_MS ?? 15_000);
const turnMs = Number(process.env.TURN_MS ?? 26_000);
const rounds = Number(process.env.ROUNDS ?? 2);
const perSecond = Number(process.env.PER_SECOND ?? 1);
const seed = Number(process.env.SEED ?? 1);

const missing = missingPeer('@socket.io/redis-streams-adapter');
if (missing !== undefined) throw new Error(missing);
const { double, single } = await import('./contenders.mjs');
const { playTurn, startContender } = await import('./turn.mjs');
const { tellDeliveries, tellLoad, tellPublishes, targetsOf } = await import('./tell.mjs');

pinLoadGenerator();
const report = new Report(
  'jitter',
  `${clients} clients, three channels with ${perSecond} event a second each and rooms of ten in which each client publishes every 10 s; every client is cut every ${everyMs / 1_000} s, ${rounds} alternating rounds of ${turnMs / 1_000} s, seed ${seed}`,
);
const redis = await startRedis({ core: 0 });
const running = [];
for (const contender of [...single, ...double])
  running.push(await startContender(contender, { bytes: 100, redis: redis.url }));
for (let round = 0; round < rounds; round++) {
  for (const contender of running) {
    // The same moments for all.
    const random = seededRandom(seed * 1_000 + round);
    const load = {
      clients,
      perSecond,
      publishMs: 10_000,
      turnMs,
      everyMs,
      cuts: Infinity,
      patienceMs: 20_000,
    };
    contender.turns.push(await playTurn(contender, { ...load, cut: (line) => line.reset() }, random));
  }
}
for (const { servers } of running) for (const server of servers) server.stop();
await redis.stop();
tellDeliveries(report, running, 'Deliveries, each client cut with RST');
tellPublishes(report, running);
tellLoad(report, running);
targetsOf(report, running);
report.end();
