import { elapsedMs, startMeasuring } from '../support/load.mjs';
import { startServer } from '../support/server-process.mjs';
import { openSubscribers } from '../support/subscribers.mjs';

/** Fewest turns of a round, however slow the server. */
const MIN_TURNS = 1;
/** Longest that a turn may take, in milliseconds. */
const MAX_TURN_MS = 30_000;

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
 *
 * @param contender `leastBytes`: least that a delivery of it takes, where that is less than the payload.
 */
export async function round(
  { name, server, load, leastBytes },
  { perTurn, repeat = 1, subscribers, bytes, roundMs },
) {
  const { written: begun } = await server.ask({ type: 'written' });
  let before = begun;
  const base = load.received - before;
  await server.ask({ type: 'begin' });
  const measured = startMeasuring();
  const startedAt = process.hrtime.bigint();
  let turns = 0;
  /** Waits for what a turn wrote, and for it to be no less than what everybody must receive. */
  const delivered = async (written, least) => {
    let sum = written;
    if (sum < least) {
      // The server may let a flush wait for more. One that never reaches everybody must not pass for a fast one.
      await within(MAX_TURN_MS, load.reached(base + least), `${name} did not write to every subscriber`);
      sum = (await server.ask({ type: 'written' })).written;
    }
    await load.reached(base + sum);
    return sum;
  };
  while (turns < MIN_TURNS || elapsedMs(startedAt) < roundMs) {
    const { written } = await server.ask({ type: 'turn', events: perTurn, repeat });
    before = await delivered(written, before + perTurn * repeat * subscribers * (leastBytes ?? bytes));
    turns += repeat;
  }
  const { seconds, loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  const deliveries = turns * perTurn * subscribers;
  return {
    cpuPerDelivery: cpuMicros / deliveries,
    bytesPerDelivery: (before - begun) / deliveries,
    rate: deliveries / seconds,
    loadShare,
  };
}

async function within(ms, promise, message) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
