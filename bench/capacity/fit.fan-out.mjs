import { storm, disperse } from '../connect/storm.mjs';
import { closedLoop } from '../support/closed-loop.mjs';
import { openSubscribers, quiet } from '../support/subscribers.mjs';
import { median } from '../support/statistics.mjs';
import { BYTES, command, startApplication } from './clients.mjs';
import { leastSquares } from './least-squares.mjs';
import { joinOf } from './transports.mjs';

const CONNECTIONS = 4_000;
const WARM_UP = 500;
/** Long enough that what was cold after collecting does not count. */
const ROUND_MS = 1_200;
const ROUNDS = 2;
/**
 * Channels: how many, and how many subscribers each has; nobody is in two of them. Small ones take turns, for on a node with
 * thousands of connections those of a small channel are in no cache when its next event comes.
 */
const AUDIENCES = { small: { channels: 10, subscribers: 100 }, large: { channels: 1, subscribers: 3_000 } };
/** Turns that are measured: in which channels, with how many events. */
const TURNS = [
  { name: 'small', events: 1, repeat: 10 },
  { name: 'small', events: 10, repeat: 10 },
  { name: 'small', events: 100, repeat: 10 },
  { name: 'large', events: 1, repeat: 1 },
  { name: 'large', events: 10, repeat: 1 },
  { name: 'large', events: 100, repeat: 1 },
];
/** Turns of the same subscribers with one event, and with many that share a write. */
const ONE = 3;
const MANY = 5;

/** Costs of connecting, of keeping a connection, and of fan-out, from one server with {@link CONNECTIONS} clients. */
export async function fitFanOut(transport) {
  // Waiting for more events would blur what a write costs.
  const server = await startApplication({ maxFlushDelay: 0 });
  const running = { name: 'nestjs-realtime', server, join: (join) => join };
  const joins = Object.entries(AUDIENCES).flatMap(([name, { channels, subscribers }]) =>
    Array.from({ length: channels * subscribers }, (_, index) =>
      joinOf(transport, `${name}-${index}`, [`${name}-${index % channels}`]),
    ),
  );
  const warm = await storm(running, joins.slice(0, WARM_UP));
  await disperse(running, warm.clients);
  const empty = await server.ask({ type: 'memory' });
  const begun = await server.ask({ type: 'cpu' });
  const load = await openSubscribers(server.port, (index) => joins[index], CONNECTIONS);
  const opened = await server.ask({ type: 'cpu' });
  const full = await server.ask({ type: 'memory' });

  const samples = TURNS.map(() => []);
  let leastRss = full.rss;
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, turn] of TURNS.entries()) {
      const sample = await measure(server, load, turn);
      if (round >= 0) samples[index].push(sample);
    }
  }
  const busy = await server.ask({ type: 'resident' });
  leastRss = Math.min(leastRss, (await server.ask({ type: 'memory' })).rss);
  const publish = await publishAlone(server);
  const ofClient = await bytesOfClientEvent(load);
  for (const client of load.clients) client.close();
  server.stop();

  const values = samples.map((of) => median(of.map(({ cpuPerTurn }) => cpuPerTurn)));
  const rows = TURNS.map(({ name, events }) => {
    const audience = AUDIENCES[name].subscribers;
    return [1, events, audience, audience * events];
  });
  const [flush, perEvent, write, delivery] = leastSquares(rows, values);
  const bytesOf = (index) => median(samples[index].map(({ bytesPerDelivery }) => bytesPerDelivery));
  const wire = wireBytes(bytesOf(ONE), bytesOf(MANY), TURNS[MANY].events);
  return {
    micros: {
      connection: (opened.cpuMicros - begun.cpuMicros) / CONNECTIONS,
      publish,
      event: Math.max(0, perEvent - publish),
      flush,
      write,
      delivery,
    },
    bytes: {
      base: empty.rss,
      working: Math.max(0, busy.rss - leastRss),
      connection: (full.rss - empty.rss) / CONNECTIONS,
      write: wire.write,
      envelope: wire.delivery - BYTES,
      clientEnvelope: Math.max(0, ofClient - wire.write - BYTES),
      payload: BYTES,
      delivery: wire.delivery,
    },
    fit: TURNS.map(({ name, events }, index) => ({
      subscribers: AUDIENCES[name].subscribers,
      events,
      measured: values[index],
      fitted: rows[index].reduce((sum, value, at) => sum + value * [flush, perEvent, write, delivery][at], 0),
    })),
  };
}

/** Bytes that each write has, and each event in it, of deliveries in writes of one event and of many. */
function wireBytes(alone, shared, events) {
  const write = Math.max(0, ((alone - shared) * events) / (events - 1));
  return { write, delivery: alone - write };
}

async function measure(server, load, { name, events, repeat }) {
  const { channels, subscribers } = AUDIENCES[name];
  const deliveries = events * repeat * subscribers;
  const { cpuPerDelivery, bytesPerDelivery } = await closedLoop(
    { name: 'nestjs-realtime', server, load },
    {
      turn: { type: 'turn', name, channels, events, repeat },
      deliveries,
      leastBytes: deliveries * BYTES,
      roundMs: ROUND_MS,
    },
  );
  return { cpuPerTurn: cpuPerDelivery * events * subscribers, bytesPerDelivery };
}

/** What an event costs that nobody is subscribed to. */
async function publishAlone(server) {
  const turn = { type: 'turn', name: 'nobody', channels: 1, events: 100, repeat: 100 };
  await server.ask(turn);
  await server.ask({ type: 'begin' });
  await server.ask(turn);
  const { cpuMicros } = await server.ask({ type: 'end' });
  return cpuMicros / (turn.events * turn.repeat);
}

/** Bytes on the wire of an event that a client published, which says who it was; all of its channel receive it. */
async function bytesOfClientEvent(load) {
  const before = load.received;
  load.clients[0].send(command('publish', 'tick', 'small-0', 'the-only-one'));
  await load.reached(before + AUDIENCES.small.subscribers * BYTES);
  await quiet(load);
  return (load.received - before) / AUDIENCES.small.subscribers;
}
