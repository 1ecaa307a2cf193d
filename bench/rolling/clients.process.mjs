// Some of the clients, each subscribed to one channel; one of each channel publishes to it as well.
import { answerWith, settingsOf } from '../floods/child.mjs';
import { isPublisher, payloadOf, roomOf, roomOfClient, steadily } from './load.mjs';
import { Witness } from './witness.mjs';

/** How many open their connections at once. */
const AT_ONCE = 50;
const POLL_MS = 50;

const { contender, port, rooms, first, count, clients: inAll, saidPerSecond } = settingsOf();
const { LibraryClients, SocketIoClients } = await import(`./clients/${contender}.mjs`);
const clients = new (LibraryClients ?? SocketIoClients)(port);
const all = Array.from({ length: count }, (_, index) => {
  const number = first + index;
  return {
    room: roomOfClient(number, rooms),
    writes: isPublisher(number, rooms, inAll),
    witness: new Witness(),
  };
});
const writers = all.filter(({ writes }) => writes);
const acknowledged = new Map(writers.map(({ room }) => [room, []]));
const underWay = new Set();
const failed = [];
const latencies = [];
let stop = () => undefined;

function say({ room, handle }, n) {
  const start = performance.now();
  const one = handle.publish(payloadOf(n)).then(
    () => {
      acknowledged.get(room).push(n);
      latencies.push(performance.now() - start);
    },
    (error) => failed.push(String(error)),
  );
  underWay.add(one);
  void one.then(() => underWay.delete(one));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

answerWith({
  async connect() {
    const left = [...all];
    const lane = async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift())
        one.handle = await clients.open(roomOf(one.room), one.witness, one.writes);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  },
  start() {
    stop = steadily(saidPerSecond * writers.length, (turn) =>
      say(writers[turn % writers.length], Math.floor(turn / writers.length)),
    );
  },
  live: () => ({ live: all.filter(({ handle }) => handle.isLive).length }),
  /** Begins the next part of the run. */
  measure: () => ({ figures: all.map(({ witness }) => witness.measure()) }),
  async stop() {
    stop();
    await Promise.all(underWay);
    return { acknowledged: [...acknowledged], failed, latencies };
  },
  /** @param {{ ticks: readonly number[][], said: readonly number[][], withinMs: number }} message What was acknowledged, by channel. */
  async settle({ ticks, said, withinMs }) {
    const missing = () =>
      all.map(({ room, witness }) => witness.missing({ tick: ticks[room], said: said[room] }));
    const until = performance.now() + withinMs;
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    let lost = missing();
    while (sum(lost) > 0 && performance.now() < until) {
      await pause(POLL_MS);
      lost = missing();
    }
    return {
      expected: sum(all.map(({ room }) => ticks[room].length + said[room].length)),
      lost: sum(lost),
      losers: lost.filter((count) => count > 0).length,
      doubled: sum(all.map(({ witness }) => witness.doubled)),
      disordered: sum(all.map(({ witness }) => witness.disordered)),
      recoveries: clients.recoveries,
      gaps: clients.gaps,
    };
  },
  async close() {
    await Promise.all(all.map(({ handle }) => handle.close()));
  },
});
