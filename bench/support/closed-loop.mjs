import { elapsedMs, startMeasuring } from './load.mjs';

/** Longest that a turn may take, in milliseconds. */
const MAX_TURN_MS = 30_000;

/**
 * One round: turns for `roundMs`, at least one, of which each begins when every byte of the last has arrived. A load
 * generator that fell behind would otherwise let the server merge writes, and flatter it.
 *
 * @param {object} running Its server answers `written`, and what `turn` asks, with the bytes that all sockets were given.
 * @param {{ turn: object, deliveries: number, leastBytes: number, roundMs: number }} round `deliveries` of one turn, and
 * the least bytes that they can have.
 */
export async function closedLoop({ name, server, load }, { turn, deliveries, leastBytes, roundMs }) {
  const { written: begun } = await server.ask({ type: 'written' });
  const base = load.received - begun;
  await server.ask({ type: 'begin' });
  const measured = startMeasuring();
  const startedAt = process.hrtime.bigint();
  let written = begun;
  let turns = 0;
  do {
    const answer = await server.ask(turn);
    written = await arrived(answer.written, written + leastBytes);
    turns += 1;
  } while (elapsedMs(startedAt) < roundMs);
  const { seconds, loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  return {
    cpuPerDelivery: cpuMicros / (turns * deliveries),
    bytesPerDelivery: (written - begun) / (turns * deliveries),
    rate: (turns * deliveries) / seconds,
    loadShare,
  };

  /** Resolves when everything that was written has come, which is no less than what everybody must receive. */
  async function arrived(sum, least) {
    let all = sum;
    if (all < least) {
      // The server may let a flush wait for more. One that never reaches everybody must not pass for a fast one.
      await within(MAX_TURN_MS, load.reached(base + least), `${name} did not write to every subscriber`);
      all = (await server.ask({ type: 'written' })).written;
    }
    await load.reached(base + all);
    return all;
  }
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
