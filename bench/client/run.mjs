// What an event costs in a page, and how large the clients are: `npm run bench:client`. See bench/README.md.
import { missingPeer } from '../support/peers.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, thousands } from '../support/statistics.mjs';
import { CONTENDERS } from './contenders.mjs';
import { fakeSocket } from './fake-socket.mjs';
import { SIZE_COLUMNS, sizes } from './size.mjs';

const rounds = Number(process.env.ROUNDS ?? 31);
const events = Number(process.env.EVENTS ?? 10_000);
/** Events between two looks at the event loop: tasks that a client queues for later have their turn. */
const EVENTS_PER_TURN = 100;
const SIZES = (process.env.BYTES ?? '100,1024').split(',').map(Number);
const OWN = CONTENDERS[0].name;
/** This client's events a second, as a multiple of each peer's. A frame of phoenix has half the bytes at 100 B, and no id to check. */
const TARGETS = { centrifuge: 1.1, 'socket.io-client': 0.7, phoenix: 0.3 };

pinLoadGenerator();
const report = new Report('client', `${thousands(events)} events a round, ${rounds} alternating rounds`);
for (const bytes of SIZES) await compare(bytes);
report.table({
  title: 'Bytes in a page',
  columns: SIZE_COLUMNS,
  rows: await sizes(),
  note: 'Bundled by esbuild for ES2022, each with what an application imports of it; compressed with gzip at level 9.',
});
report.end();

async function compare(bytes) {
  const payload = { text: 'x'.repeat(bytes - '{"text":""}'.length) };
  const running = [];
  for (const contender of CONTENDERS) {
    const isThere = contender.name === OWN || missingPeer(contender.name) === undefined;
    if (isThere) running.push(await start(contender, payload));
  }
  for (let round = -3; round < rounds; round++) {
    // Whoever comes later finds the garbage of the others, so they take turns at that too.
    for (let index = 0; index < running.length; index++) {
      const contender = running[(index + round + running.length * 3) % running.length];
      const rate = await measure(contender, payload);
      if (round >= 0) contender.rates.push(rate);
    }
  }
  for (const { stop } of running) await stop();
  const own = running.find(({ name }) => name === OWN).rates;
  report.table({
    title: `Events of ${thousands(bytes)} B`,
    columns: ['client', 'events a second of CPU', 'bytes of a frame', 'nestjs-realtime-client / it'],
    rows: running.map(({ name, rates, frame }) => [
      name,
      thousands(median(rates)),
      thousands(frame(payload, 1).length),
      name === OWN ? '–' : medianRatio(own, rates).toFixed(2),
    ]),
  });
  for (const [name, atLeast] of Object.entries(TARGETS)) {
    const rates = running.find((one) => one.name === name)?.rates;
    const measured = rates === undefined ? undefined : medianRatio(own, rates);
    report.target(`events/s of this client / ${name}, ${thousands(bytes)} B`, { atLeast, measured });
  }
}

async function start({ name, frame, start: begin }, payload) {
  const state = { name, frame, received: 0, seq: 0, rates: [] };
  const Socket = fakeSocket();
  const stop = await begin(Socket, ({ text }) => {
    if (text.length === payload.text.length) state.received++;
  });
  return Object.assign(state, { stop, socket: Socket.last });
}

/** @returns Events a second of CPU, of one round. The frames are made before. */
async function measure(contender, payload) {
  const { frame, socket } = contender;
  const frames = Array.from({ length: events }, () => frame(payload, ++contender.seq));
  const before = contender.received;
  const begun = process.cpuUsage();
  for (let index = 0; index < events;) {
    for (let n = 0; n < EVENTS_PER_TURN && index < events; n++) socket.receive(frames[index++]);
    await new Promise(setImmediate);
  }
  const { user, system } = process.cpuUsage(begun);
  if (contender.received - before !== events)
    throw new Error(`${contender.name} handed over ${contender.received - before} of ${events} events`);
  return (events * 1e6) / (user + system);
}
