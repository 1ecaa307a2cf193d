import { redisBroker } from '../../../lib/brokers/redis/index.js';
import { RecordingListener } from '../../../lib/brokers/contract/recording-listener.js';
import { elapse, patience } from '../patience.js';
import { until } from '../until.js';
import { ConsumerProcess, type ConsumerProcessOptions } from './process.js';

/** Time between two looks at the channels, so that looking costs little. */
const LOOK_MS = 20;
/** Records that are written at once. */
const CHUNK = 1_000;
/** Part of the records that is there beyond the moment of a kill, so that one meets work; those behind follow after it, so that work is left. */
const AHEAD = 0.15;

/** What was found in the channels. */
export interface Found {
  readonly doubled: number;
  readonly missing: number;
  /** Events behind one of a higher number. */
  readonly outOfOrder: number;
}

/** How a run went. */
export interface ShowResult extends Found {
  readonly seconds: number;
  /** From a kill to the next event, in milliseconds. */
  readonly gapsMs: readonly number[];
  readonly logs: readonly string[];
}

/** A record. Its number within the key ascends. */
export interface WrittenRecord {
  readonly key: string;
  readonly value: string;
}

/**
 * Lets a process consume records and kills it (`kill -9`) three times on the way, with another beside it that takes over, or the same
 * started again.
 *
 * @param moments numbers of published records at which a process is killed.
 * @param write writes some to the source; is called with all in turn.
 */
export async function consumeWithKills(
  options: ConsumerProcessOptions,
  {
    records,
    keys,
    moments,
    write,
  }: {
    readonly records: number;
    readonly keys: number;
    readonly moments: readonly number[];
    readonly write: (some: readonly WrittenRecord[]) => Promise<void>;
  },
): Promise<ShowResult> {
  const began = performance.now();
  const channels = Array.from({ length: keys }, (_, index) => `keys.k${index}`);
  const broker = redisBroker(options.redis);
  await broker.start(new RecordingListener());
  const count = async (): Promise<number> => {
    await elapse(LOOK_MS);
    return (await broker.log.tips(channels)).reduce((sum, { seq }) => sum + seq, 0);
  };
  const all: ConsumerProcess[] = [];
  const start = async (): Promise<ConsumerProcess> => {
    const next = await ConsumerProcess.start(`c${all.length}`, options);
    all.push(next);
    return next;
  };
  let written = 0;
  const writeUpTo = async (end: number): Promise<void> => {
    while (written < end) {
      const from = written;
      written = Math.min(end, from + CHUNK);
      await write(Array.from({ length: written - from }, (_, place) => recordOf(from + place, keys)));
    }
  };
  const gapsMs: number[] = [];
  try {
    await writeUpTo(Math.floor((moments[0] ?? records) + AHEAD * records));
    let running = await start();
    for (const [index, moment] of moments.entries()) {
      await until(`${moment} events`, async () => (await count()) >= moment, patience(120_000));
      await running.kill();
      const [killedAt, killedWith] = [performance.now(), await count()];
      const next = moments[index + 1];
      await writeUpTo(next === undefined ? records : Math.floor(next + AHEAD * records));
      running = await start();
      await until('the next event', async () => (await count()) > killedWith, patience(60_000));
      gapsMs.push(Math.round(performance.now() - killedAt));
    }
    await until(`all ${records} events`, async () => (await count()) >= records, patience(240_000));
    const seconds = (performance.now() - began) / 1_000;
    await until('the lag to end', () => running.status?.lag === 0, patience(30_000));
    await running.stop();
    const found = await look(broker, channels, records / keys);
    return { ...found, seconds, gapsMs, logs: all.flatMap(({ logs }) => logs) };
  } catch (error) {
    const processes = all.map(({ logs, nodeId, status }) => ({ nodeId, status, logs }));
    throw new Error(
      `${String(error)}: ${await count()} events of ${written} records written, ${JSON.stringify(processes)}`,
      { cause: error },
    );
  } finally {
    await Promise.all(all.map((each) => each.kill()));
    await broker.close();
  }
}

async function look(
  broker: ReturnType<typeof redisBroker>,
  channels: readonly string[],
  each: number,
): Promise<Found> {
  const found = { doubled: 0, missing: 0, outOfOrder: 0 };
  for (const channel of channels) {
    const numbers: number[] = [];
    for (let from = 1; ;) {
      const { events } = await broker.log.read({ channel, from, limit: 1_000 });
      numbers.push(...events.map(({ payload }) => Number(payload)));
      if (events.length === 0) break;
      from = (events.at(-1)?.seq ?? from) + 1;
    }
    const known = new Set(numbers);
    found.doubled += numbers.length - known.size;
    found.missing += each - known.size;
    found.outOfOrder += numbers.filter(
      (number, index) => index > 0 && number <= (numbers[index - 1] ?? -1),
    ).length;
  }
  return found;
}

function recordOf(index: number, keys: number): WrittenRecord {
  const key = `k${index % keys}`;
  return { key, value: `${key} ${Math.floor(index / keys)}` };
}
