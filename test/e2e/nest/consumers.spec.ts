import { Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { HealthIndicatorService } from '@nestjs/terminus';
import { afterEach, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import { consumerOf, consumeSettings, type ConsumeOptions } from '../../../lib/consumers/index.js';
import type { RealtimeConsumer } from '../../../lib/core/ports/consumers.js';
import { RealtimeHealthIndicator } from '../../../lib/health/index.js';
import { Channel, PublicChannel, RealtimeModule, RealtimeService } from '../../../lib/nest/index.js';
import { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { eventOf } from '../../support/consumers/consumer-world.js';
import { MemoryTopic, type MemoryRecord } from '../../support/consumers/memory-topic.js';
import { NodeLife } from '../../support/consumers/node-life.js';
import { until } from '../../support/until.js';
import { byName, makeApp, PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('orders.:order')
class Orders {}

const [, platform] = PLATFORMS[0];
const apps: TestApp[] = [];
afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

function consuming(
  topic: MemoryTopic,
  options: Partial<ConsumeOptions<MemoryRecord>> = {},
): RealtimeConsumer {
  const settings = consumeSettings<MemoryRecord>({ to: eventOf, ...options }, 'fromMemory', 'orders');
  return consumerOf(settings, () => topic.source(new NodeLife()));
}

async function start(realtime: RealtimeModuleOptions): Promise<TestApp> {
  const app = await startApp(platform, {
    providers: [Orders],
    realtime: { auth: { authenticator: byName }, ...realtime },
  });
  apps.push(app);
  return app;
}

async function bootProblems(realtime: RealtimeModuleOptions): Promise<string> {
  try {
    const { app } = await makeApp(platform, { providers: [Orders], realtime });
    await app.init();
    await app.close();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

function filled(...values: readonly string[]): MemoryTopic {
  const topic = new MemoryTopic(1);
  for (const value of values) topic.add(0, 'orders.7', value);
  return topic;
}

it('records reach the subscribers of their channel, with ids of where they stand (G34)', async () => {
  const topic = filled('a', 'b');
  const app = await start({ consumers: [consuming(topic)] });
  const client = await app.connect('ada');
  await until('the first two', () => topic.lag === 0);
  const { payload } = await client.call({ type: 'subscribe', channel: 'orders.7', payload: {} });
  expect(payload).toBeDefined();
  topic.add(0, 'orders.7', 'c');
  expect(await client.next('event')).toMatchObject({
    channel: 'orders.7',
    event: 'changed',
    payload: 'c',
    id: 'm:0:2',
  });
  const { events } = await app.app.get(RealtimeService).channel('orders.7').history();
  expect(events.map(({ id, payload: said }) => [id, said])).toEqual([
    ['m:0:0', 'a'],
    ['m:0:1', 'b'],
    ['m:0:2', 'c'],
  ]);
});

it('what `to` returns is checked as a publish is, and a wrong one is a dead letter (G34)', async () => {
  const topic = filled('key', 'ttl', 'user', 'name', 'own', 'payload', 'good');
  const wrong: Record<string, object> = {
    key: { key: 7 },
    ttl: { ttl: 0 },
    user: { user: '' },
    name: { channel: 'orders.*' },
    own: { channel: '$nodes.YQ' },
    payload: { payload: 10n ** 30n, event: '$erased' },
  };
  const letters: unknown[] = [];
  const app = await start({
    consumers: [
      consuming(topic, {
        to: (record) => ({ ...eventOf(record), ...wrong[record.value] }),
        deadLetter: ({ error }) => void letters.push(String((error as Error).message).slice(0, 12)),
      }),
    ],
  });
  await until('all', () => topic.lag === 0);
  expect(letters).toEqual([
    'to: key must',
    'to: ttl must',
    'to: user mus',
    'to: channel ',
    'to: channel ',
    'The name of ',
  ]);
  const { events } = await app.app.get(RealtimeService).channel('orders.7').history();
  expect(events.map(({ payload }) => payload)).toEqual(['good']);
});

it('a consumer that has stopped makes readiness degraded, with the place of the record, and liveness stays up (G34, G20)', async () => {
  const topic = filled('a', 'bad');
  const app = await start({
    consumers: [
      consuming(topic, {
        to: (record) => {
          if (record.value === 'bad') throw new Error('no event');
          return eventOf(record);
        },
      }),
    ],
  });
  const health = new RealtimeHealthIndicator(app.app.get(RealtimeRuntime), new HealthIndicatorService());
  await until('the stop', async () => JSON.stringify(await health.ready('realtime')).includes('has stopped'));
  expect(await health.ready('realtime')).toMatchObject({
    realtime: {
      status: 'degraded',
      reason: 'the consumer orders has stopped: the record at m/0@1 cannot be published: an error of `to`',
    },
  });
  expect(health.live('realtime')).toMatchObject({ realtime: { status: 'up' } });
});

it('options from a factory may use what is injected, and consumers end before what they use is destroyed (G34)', async () => {
  const topic = filled('a');
  const order: string[] = [];
  @Injectable()
  class Prices implements OnModuleDestroy {
    isThere = true;
    async onModuleDestroy(): Promise<void> {
      order.push('destroyed');
      this.isThere = false;
    }
    of(value: string): string {
      if (!this.isThere) order.push('used too late');
      return `${value} €`;
    }
  }
  @Module({ providers: [Prices], exports: [Prices] })
  class PricesModule {}
  const app = await startApp(platform, {
    providers: [Orders],
    module: RealtimeModule.forRootAsync({
      imports: [PricesModule],
      inject: [Prices],
      useFactory: (prices: Prices) => ({
        auth: { authenticator: byName },
        consumers: [
          consuming(topic, { to: (record) => ({ ...eventOf(record), payload: prices.of(record.value) }) }),
        ],
      }),
    }),
  });
  await until('the first', () => topic.lag === 0);
  const { events } = await app.app.get(RealtimeService).channel('orders.7').history();
  expect(events).toMatchObject([{ payload: 'a €' }]);
  const runtime = app.app.get(RealtimeRuntime);
  await app.close();
  topic.add(0, 'orders.7', 'late');
  await new Promise(setImmediate);
  expect(runtime.consumers[0]?.status()).toMatchObject({ state: 'closed' });
  expect([topic.lag, order]).toEqual([1, ['destroyed']]);
});

it('what a consumer has under way when the application closes is published and committed (G34, G18)', async () => {
  const topic = filled('a');
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let isAsked = false;
  const app = await start({
    drain: { deadline: '2s', spread: 0 },
    consumers: [
      consuming(topic, {
        to: async (record) => {
          isAsked = true;
          await held;
          return eventOf(record);
        },
      }),
    ],
  });
  await until('the record', () => isAsked);
  const closed = app.close();
  release();
  await closed;
  expect(topic.lag).toBe(0);
  expect(app.logger.at('warn').filter((line) => line.includes('Consumer'))).toEqual([]);
});

it('consumers that cannot be are refused at boot, with the remedy (G34)', async () => {
  const topic = new MemoryTopic(1);
  const consumers = [consuming(topic), consuming(topic)];
  expect(await bootProblems({ auth: { anonymous: true }, consumers })).toContain(
    'consumers: has two of the name "orders". Give each a `name` of its own.',
  );
  const noConsumers = [{}] as unknown as RealtimeConsumer[];
  expect(await bootProblems({ auth: { anonymous: true }, consumers: noConsumers })).toContain(
    'consumers: is not a list of consumers. Give what fromKafka(), fromJetStream() and fromRedisStreams() make.',
  );
  const broker = memoryBroker();
  const forgetful = Object.assign(broker, { capabilities: { ...broker.capabilities, dedupes: false } });
  expect(
    await bootProblems({ auth: { anonymous: true }, broker: forgetful, consumers: [consuming(topic)] }),
  ).toContain('would append them twice');
});
