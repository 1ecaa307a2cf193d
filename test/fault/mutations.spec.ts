// The checker is checked: a library that is broken on purpose, inside the test's own process and never in
// the product's code, must be caught each time. Clients speak the bare protocol, for ours would mend what it can.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisBroker } from '../../lib/brokers/redis/index.js';
import type { Broker } from '../../lib/core/ports/broker.js';
import { readLogs } from '../support/fault/log.js';
import {
  acknowledgingNothing,
  again,
  drop,
  forgettingIds,
  ignoringEpochs,
  mutateDelivery,
  mutateOrder,
  swap,
  type Mutation,
} from '../support/fault/mutations.js';
import { FaultRawClient } from '../support/fault/raw-client.js';
import { print } from '../support/fault/scenario.js';
import { checkHistory, describeViolations, type CheckOptions } from '../support/fault/history-checker.js';
import { HistoryRecorder } from '../support/fault/history-recorder.js';
import type { HistoryReport, HistoryRule } from '../support/fault/history-types.js';
import { lossyBroker } from '../support/fault/lossy-broker.js';
import { RedisProcess } from '../support/redis/process.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { startWireServer } from '../support/wire/server.js';

const CHANNELS = ['rooms.1', 'rooms.2'];
const CLIENTS = 20;
const ONE_IN = 10_000;

let server: RedisProcess;
let admin: Redis;
let mend: (() => unknown) | undefined;

beforeAll(async () => {
  server = await RedisProcess.start({ durable: false });
  admin = new Redis(server.url);
});

afterEach(() => {
  mend?.();
  mend = undefined;
});

afterAll(async () => {
  admin.disconnect();
  await server.dispose();
});

interface Run {
  readonly broker?: (inner: Broker) => Broker;
  /** Events published to each channel, a few at a time. */
  readonly events?: number;
  /** In the middle of it. */
  readonly midway?: () => Promise<unknown>;
  /** Every publish is sent twice, as after an answer that did not come. */
  readonly twice?: boolean;
  readonly check?: CheckOptions;
}

async function run({ broker, events = 320, midway, twice = false, check }: Run = {}): Promise<HistoryReport> {
  await admin.flushall();
  const inner = redisBroker({ url: server.url, tipCheck: { intervalMs: 500 } });
  const wire = await startWireServer({
    broker: broker?.(inner) ?? inner,
    channels: [wireChannel('rooms.:room', { log: { size: 100_000 } })],
  });
  const history = new HistoryRecorder();
  const entropy = new SeededEntropy(4);
  const settings = { history, pick: () => wire.url };
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new FaultRawClient(`raw-${index}`, CHANNELS, settings, entropy),
  );
  let count = 0;
  const publish = async (channel: string): Promise<void> => {
    const id = `e${++count}`;
    history.invoke('application', channel, id);
    if (twice) await wire.engine.application.publish(channel, 'said', count, { id });
    history.acknowledged(id, await wire.engine.application.publish(channel, 'said', count, { id }));
  };
  try {
    for (const client of clients) client.start();
    await until('all to be subscribed', () => clients.every(({ live }) => live.size === CHANNELS.length));
    for (let round = 0; round < events; round += 4) {
      if (round === events / 2) await midway?.();
      for (const channel of CHANNELS) {
        // Together, so that they leave as one batch.
        await Promise.all([1, 2, 3, 4].map(() => publish(channel)));
      }
    }
    // The last word in every channel: behind it nothing of the run comes any more.
    for (const channel of CHANNELS) await publish(channel);
    const logs = await readLogs(admin, CHANNELS);
    await until('the last word to reach everybody', () =>
      clients.every(({ positions }) =>
        logs.every(({ channel, position }) => positions.get(channel)?.seq === position.seq),
      ),
    );
    return checkHistory(history, logs, check);
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await wire.close();
  }
}

function rulesOf({ violations }: HistoryReport): readonly HistoryRule[] {
  return [...new Set(violations.map(({ rule }) => rule))].sort();
}

describe('the history checker with a mutated library', () => {
  it('reports nothing when nothing is mutated', async () => {
    const report = await run();
    print('no mutation', { ...report });
    expect(describeViolations(report.violations)).toBe('0 violations');
    expect(report.delivered).toBeGreaterThan(ONE_IN);
  });

  it('reports nothing after FLUSHALL when losses may be announced', async () => {
    const report = await run({ events: 160, midway: () => admin.flushall(), check: { mayLose: true } });
    expect(describeViolations(report.violations)).toBe('0 violations');
    expect(report.losses).toBe(CLIENTS * CHANNELS.length);
  });

  const deliveries: readonly (readonly [string, Mutation, readonly HistoryRule[]])[] = [
    ['drops one delivery in 10,000', drop, ['hole', 'undelivered']],
    ['swaps two deliveries in 10,000', swap, ['hole', 'repeat', 'undelivered']],
    ['repeats one delivery in 10,000', again, ['repeat']],
  ];
  it.each(deliveries)('reports a library that %s', async (name, mutation, rules) => {
    const stop = mutateDelivery(mutation, ONE_IN);
    mend = stop;
    const report = await run();
    const broken = stop();
    print(`a library that ${name}`, {
      broken,
      rules: rulesOf(report).join(' '),
      delivered: report.delivered,
    });
    expect(broken).toBe(1);
    expect(rulesOf(report)).toEqual(rules);
    // One client's one channel, and nobody else's.
    expect(new Set(report.violations.map(({ client, channel }) => `${client} ${channel}`)).size).toBe(1);
  });

  it('reports a library that ignores the epoch', async () => {
    const report = await run({
      broker: ignoringEpochs,
      events: 160,
      midway: () => admin.flushall(),
      check: { mayLose: true },
    });
    print('a library that ignores the epoch', { rules: rulesOf(report).join(' ') });
    expect(rulesOf(report)).toEqual(expect.arrayContaining(['behind', 'order']));
  });

  it('reports a library that does not recover what pub/sub lost', async () => {
    mend = mutateOrder();
    const report = await run({
      events: 160,
      broker: (inner) => {
        const lossy = lossyBroker(inner);
        let count = 0;
        lossy.mangle = (events) => (++count === 20 ? [] : [events]);
        return lossy;
      },
    });
    print('a library that does not heal', { rules: rulesOf(report).join(' ') });
    expect(rulesOf(report)).toEqual(expect.arrayContaining(['hole', 'undelivered']));
  });

  it('reports a library that acknowledges what it did not append', async () => {
    const report = await run({ events: 160, broker: (inner) => acknowledgingNothing(inner, 30) });
    print('a library that acknowledges too much', { rules: rulesOf(report).join(' ') });
    expect(rulesOf(report)).toEqual(expect.arrayContaining(['vanished']));
  });

  it('reports a library that forgets the ids of publishes', async () => {
    const report = await run({ events: 80, broker: forgettingIds, twice: true });
    print('a library that forgets ids', { rules: rulesOf(report).join(' ') });
    expect(rulesOf(report)).toEqual(expect.arrayContaining(['log', 'repeat']));
  });
});
