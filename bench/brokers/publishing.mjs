import { fileURLToPath } from 'node:url';
import { alternate } from '../cluster/rounds.mjs';
import { elapsedMs } from '../support/load.mjs';
import { startServer } from '../support/server-process.mjs';

const script = fileURLToPath(new URL('node.process.mjs', import.meta.url));
const NODES_CORE = 0;
/** Publishes of the first round of all, which finds out how many there can be in the next. */
const FIRST = 2_000;

/**
 * Acknowledged publishes under load and one by one, in rounds that alternate between the brokers. One node publishes; where nodes share a
 * broker, another one is subscribed to all channels. A process is measured when it has worked for some seconds.
 *
 * @returns {Promise<{ load: Map<string, object[]>, oneByOne: Map<string, object[]> }>} Samples by the contender's name.
 */
export async function measurePublishing(contenders, { rounds, roundMs, warmUpMs, channels, bytes, limit }) {
  const running = [];
  const samples = { load: new Map(), oneByOne: new Map() };
  try {
    for (const contender of contenders) running.push(await start(contender, { channels, bytes, limit }));
    for (const contender of running) await warmUp(contender, warmUpMs);
    await alternate(running, rounds, samples.load, (contender) =>
      load(contender, Math.ceil((contender.rate * roundMs) / 1_000)),
    );
    await alternate(running, rounds, samples.oneByOne, ({ publisher }) =>
      publisher.ask({ type: 'oneByOne', forMs: roundMs }),
    );
    return samples;
  } finally {
    for (const { processes, server } of running) {
      for (const { stop } of processes) stop();
      await server?.stop();
    }
  }
}

async function start({ name, kind, server: startServerOf }, { channels, bytes, limit }) {
  const server = await startServerOf();
  const settings = { kind, address: server?.address, channels, bytes, limit };
  const isShared = kind !== 'memory';
  const node = (more) => startServer(script, { ...settings, ...more }, { core: NODES_CORE });
  const publisher = await node({ subscribes: !isShared });
  const receiver = isShared ? await node({ subscribes: true }) : undefined;
  const processes = receiver === undefined ? [publisher] : [publisher, receiver];
  return { name, server, publisher, receiver, processes, rate: 0 };
}

async function warmUp(contender, forMs) {
  const startedAt = process.hrtime.bigint();
  contender.rate = (await load(contender, FIRST)).rate;
  while (elapsedMs(startedAt) < forMs)
    contender.rate = (await load(contender, Math.ceil(contender.rate / 2))).rate;
}

/** Begins with the first publish and ends when the last is acknowledged and has arrived at whoever is subscribed. */
async function load({ server, publisher, receiver, processes }, count) {
  for (const { ask } of processes) await ask({ type: 'begin' });
  const serverBefore = await server?.cpuMicros();
  const startedAt = process.hrtime.bigint();
  const arrived = receiver?.ask({ type: 'arrived', count });
  await publisher.ask({ type: 'load', count });
  await (arrived ?? publisher.ask({ type: 'arrived', count }));
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  const serverMicros = (await server?.cpuMicros()) - serverBefore;
  const ends = [];
  for (const { ask } of processes) ends.push((await ask({ type: 'end' })).cpuMicros / count);
  return { rate: count / seconds, publisher: ends[0], receiver: ends[1], server: serverMicros / count };
}
