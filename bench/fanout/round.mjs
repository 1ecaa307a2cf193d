import { elapsedMs, startMeasuring } from '../support/load.mjs';
import { startServer } from '../support/server-process.mjs';
import { openSubscribers } from '../support/subscribers.mjs';

/** Fewest turns of a round, however slow the server. */
const MIN_TURNS = 1;

/** Starts a contender and subscribes everybody to it. */
export async function populate(contender, { subscribers, ...settings }) {
  const server = await startServer(contender.script, { ...settings, ...contender.settings });
  const load = await openSubscribers(server.port, contender.join, subscribers);
  return { ...contender, server, load };
}

export function dismiss({ server, load }) {
  for (const client of load.clients) client.close();
  server.stop();
}

/**
 * One round: turns in a closed loop for `roundMs`, in which the next begins when every byte of the last has arrived. A
 * load generator that fell behind would otherwise let the server merge writes, and flatter it.
 */
export async function round({ name, server, load }, { perTurn, subscribers, bytes, roundMs }) {
  let { written: before } = await server.ask({ type: 'written' });
  const base = load.received - before;
  await server.ask({ type: 'begin' });
  const measured = startMeasuring();
  const startedAt = process.hrtime.bigint();
  let turns = 0;
  while (turns < MIN_TURNS || elapsedMs(startedAt) < roundMs) {
    const { written } = await server.ask({ type: 'turn', events: perTurn });
    // A server that writes less than the payloads did not reach everybody: the figures would be a fiction.
    if (written - before < perTurn * subscribers * bytes)
      throw new Error(`${name} did not write to every subscriber`);
    before = written;
    await load.reached(base + written);
    turns += 1;
  }
  const { seconds, loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  const deliveries = turns * perTurn * subscribers;
  return { cpuPerDelivery: cpuMicros / deliveries, rate: deliveries / seconds, loadShare };
}
