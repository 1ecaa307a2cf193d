// An application as a process of its own that makes events of the records of a source. Started by test/support/consumers/process.ts, which
// gives it one argument, JSON: { nodeId, redis, source, options }. It tells of its status twenty times a second.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { fromKafka } from '../../dist/brokers/kafka/index.js';
import { fromJetStream } from '../../dist/brokers/nats/index.js';
import { fromRedisStreams, redisBroker } from '../../dist/brokers/redis/index.js';
import { Channel, PublicChannel, RealtimeModule } from '../../dist/index.js';
import { RealtimeRuntime } from '../../dist/nest/index.js';

const { nodeId, redis, source, options } = JSON.parse(process.argv[2]);
const STATUS_MS = 50;

/** Values are `<key> <number>`. */
const toEvent = (text) => {
  const [key, number] = text.split(' ');
  return { channel: `keys.${key}`, event: 'changed', payload: Number(number) };
};
const SOURCES = {
  redis: () => fromRedisStreams({ ...options, to: ({ fields }) => toEvent(fields.value) }),
  nats: () => fromJetStream({ ...options, to: ({ data }) => toEvent(Buffer.from(data).toString()) }),
  kafka: () => fromKafka({ ...options, to: ({ value }) => toEvent(value.toString()) }),
};

class Keys {}
PublicChannel()(Keys);
Channel('keys.:key', { history: { size: 100_000, maxBytes: 64 * 1024 * 1024 } })(Keys);

class Root {}
Module({
  imports: [
    RealtimeModule.forRoot({
      nodeId,
      publisherOnly: true,
      ticketSecret: 'a secret of the tests of consumers',
      broker: redisBroker(redis),
      consumers: [SOURCES[source]()],
    }),
  ],
  providers: [Keys],
})(Root);

const app = await NestFactory.createApplicationContext(Root, {
  logger: {
    log: () => undefined,
    warn: (message) => process.send({ type: 'log', message: String(message) }),
    error: (...parts) => process.send({ type: 'log', message: parts.map(String).join(' ') }),
  },
});
app.enableShutdownHooks([], { useProcessExit: true });
const runtime = app.get(RealtimeRuntime);
const tell = () => process.send({ type: 'status', status: runtime.consumers[0].status() });
setInterval(tell, STATUS_MS);
process.send({ type: 'ready' });
