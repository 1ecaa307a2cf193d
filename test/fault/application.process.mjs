// A Nest application as a process of its own, which ends as an orchestrator ends it: by a signal. Started by
// test/fault/sigterm.spec.ts, which gives it one argument, JSON: { nodeId, redis, drain }.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { redisBroker } from '../../dist/brokers/redis/index.js';
import { Authorize, Channel, OnPublish, RealtimeModule } from '../../dist/index.js';

const { nodeId, redis, drain } = JSON.parse(process.argv[2]);

class Rooms {
  may() {
    return true;
  }
  said() {
    return undefined;
  }
}
const decorate = (decorator, name) =>
  decorator(Rooms.prototype, name, Object.getOwnPropertyDescriptor(Rooms.prototype, name));
decorate(Authorize('subscribe', 'publish'), 'may');
decorate(OnPublish('said'), 'said');
Channel('rooms.:room')(Rooms);

class Root {}
Module({
  imports: [
    RealtimeModule.forRoot({
      nodeId,
      ticketSecret: 'a secret of the tests of signals',
      auth: { anonymous: true },
      broker: redisBroker(redis),
      drain,
      retry: { base: 50, max: 300, firstSpread: 200, stable: 2_000 },
      limits: { ratePerSecond: 2_000, burst: 4_000, maxConnectionsPerAddress: 10_000 },
    }),
  ],
  providers: [Rooms],
})(Root);

const app = await NestFactory.create(Root, {
  logger: {
    log: (message) => process.send?.({ type: 'log', message: String(message) }),
    warn: (message) => process.send?.({ type: 'log', message: String(message) }),
    error: (...parts) => process.send?.({ type: 'log', message: parts.map(String).join(' ') }),
  },
});
// Nest ends the process by the signal again otherwise, which is no exit with 0.
app.enableShutdownHooks([], { useProcessExit: true });
await app.listen(0, '127.0.0.1');
process.send({ type: 'ready', port: app.getHttpServer().address().port });
