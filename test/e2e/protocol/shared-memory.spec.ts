import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { MemoryStoreOptions } from '../../../lib/brokers/memory/options.js';
import type { LogPolicy } from '../../../lib/core/ports/broker.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

// What the clients of one node share is the memory of its broker: one must not spend it for the others.
let server: WireServer;
let clock: ManualClock;
afterEach(() => server.close());

async function start(store: MemoryStoreOptions, log: Partial<LogPolicy> = {}) {
  clock = new ManualClock();
  const broker = memoryBroker({ clock, entropy: new SeededEntropy(3), ...store });
  server = await startWireServer({
    broker,
    clock,
    channels: [wireChannel('rooms.:room', { publish: ['said'], presence: true, log })],
    settings: {
      anonymous: true,
      limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 1e6, bytesPerSecond: 1e9 },
    },
  });
  return broker.store;
}

const publish = (channel: string, id: string, payload: unknown = id) => ({
  type: 'publish',
  id,
  channel,
  event: 'said',
  payload,
});

async function answer(client: WireClient, command: { readonly id: string } & Record<string, unknown>) {
  client.send(command);
  return client.take({ ref: command.id });
}

describe('the memory for ids of publishes (G4)', () => {
  it('51 anonymous connections that publish what they can leave a user its publishes (G14)', async () => {
    await start({ maxIdBytes: 60_000 });
    let refusals = 0;
    for (let index = 0; index < 51; index++) {
      const client = await server.connect(undefined);
      const ids = Array.from({ length: 12 }, (_, number) => `n${index}-${number}`);
      for (const id of ids) {
        const { type, payload } = await answer(client, publish('rooms.1', id));
        if (type !== 'error') continue;
        refusals++;
        expect(payload).toMatchObject({ code: 'rate_limited', retryable: true });
        break;
      }
    }
    expect(refusals).toBe(51);
    const user = await server.connect('ada');
    for (const id of ['a', 'b', 'c']) {
      expect(await answer(user, publish('rooms.1', id))).toMatchObject({
        type: 'reply',
        payload: { duplicate: false },
      });
    }
  });

  it('a refused publish says the truth and when to come back, and is taken then under the same id', async () => {
    await start({ maxIdBytes: 20_000 }, { dedupeMs: 10_000 });
    const client = await server.connect('ada');
    let refused: Record<string, unknown> | undefined;
    let number = 0;
    for (; refused === undefined; number++) {
      const { type, payload } = await answer(client, publish('rooms.1', `n${number}`));
      if (type === 'error') refused = payload;
    }
    expect(refused).toMatchObject({
      code: 'rate_limited',
      retryable: true,
      retryAfterMs: 10_000,
      message: 'Too many of your publishes are still remembered for their retries; try again later',
    });
    clock.advance(10_000);
    expect(await answer(client, publish('rooms.1', `n${number - 1}`))).toMatchObject({ type: 'reply' });
  });
});

describe('the bytes of the memory broker (G13)', () => {
  it('a reader of names that nobody wrote takes no history from anybody', async () => {
    const store = await start({ maxIdleChannels: 5 }, { dedupeMs: 0 });
    for (let index = 0; index < 5; index++)
      await server.engine.application.publish(`rooms.real${index}`, 'said', index);
    const before = store.stats;
    const client = await server.connect('mallory');
    for (let index = 0; index < 300; index++) {
      await answer(client, { type: 'history', id: `h${index}`, channel: `rooms.none${index}`, payload: {} });
    }
    expect(store.stats).toEqual(before);
    expect((await server.engine.application.history('rooms.real0')).events).toHaveLength(1);
  });

  it('a channel keeps what fits in history.maxBytes; a client that was away for longer recovers `truncated` (P11)', async () => {
    await start({}, { maxBytes: 3_000 });
    const client = await server.connect('ada');
    const { position } = (await client.subscribe('rooms.1')) as { position: object };
    for (let index = 0; index < 10; index++) {
      await answer(client, publish('rooms.1', `m${index}`, 'x'.repeat(900)));
    }
    const late = await server.connect('bob');
    const result = await late.reply({
      type: 'subscribe',
      id: 's1',
      channel: 'rooms.1',
      payload: { position },
    });
    expect(result).toMatchObject({ recovery: 'truncated', position: { seq: 10 } });
    const page = await late.reply({ type: 'history', channel: 'rooms.1', payload: { limit: 100 } });
    expect((page['events'] as unknown[]).length).toBe(3);
  });

  it('a position of a channel that was forgotten for lack of room is lost, and the log of the server says so (G6)', async () => {
    await start({ maxBytes: 65_536 }, { dedupeMs: 0 });
    const application = server.engine.application;
    const { epoch } = await application.publish('rooms.old', 'said', 'x'.repeat(20_000));
    for (let index = 0; index < 4; index++)
      await application.publish(`rooms.new${index}`, 'said', 'x'.repeat(20_000));
    const client = await server.connect('ada');
    const result = await client.reply({
      type: 'subscribe',
      id: 's1',
      channel: 'rooms.old',
      payload: { position: { epoch, seq: 1 } },
    });
    expect(result).toMatchObject({ recovery: 'lost', reason: 'epoch_changed', position: { seq: 0 } });
    const warnings = server.records.filter(({ message }) => message.includes('memoryBroker reached a bound'));
    expect(warnings).toMatchObject([{ level: 'warn' }]);
  });

  it('a subscribe for which there is no room is refused for the moment, and succeeds when there is', async () => {
    const store = await start({ maxBytes: 65_536 });
    const client = await server.connect('ada');
    const names = Array.from({ length: 100 }, (_, index) => `rooms.n${index}`);
    let full: string | undefined;
    for (const channel of names) {
      const { type, payload } = await answer(client, {
        type: 'subscribe',
        id: `s-${channel}`,
        channel,
        payload: {},
      });
      if (type !== 'error') continue;
      expect(payload).toMatchObject({ code: 'unavailable', retryable: true });
      full = channel;
      break;
    }
    if (full === undefined) throw new Error('Nothing was refused');
    await client.reply({ type: 'unsubscribe', id: 'u1', channel: 'rooms.n0' });
    clock.advance(10_000);
    expect(
      await answer(client, { type: 'subscribe', id: 's-again', channel: full, payload: {} }),
    ).toMatchObject({
      type: 'reply',
    });
    expect(store.stats.bytes).toBeLessThanOrEqual(65_536);
  });
});
