// A Nest application as a process of its own, which ends as an orchestrator ends it: by a signal. Started by
// test/fault/sigterm.spec.ts, which gives it one argument, JSON: { nodeId, redis, drain, hangs }. With `hangs`, nothing of the application
// answers: a handler, a hook, a sink of the audit.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { redisBroker } from '../../dist/brokers/redis/index.js';
import { realtimeHooks } from '../../dist/hooks/index.js';
import { Authorize, Channel, OnPublish, RealtimeModule, RealtimeService } from '../../dist/index.js';

const { nodeId, redis, drain, hangs } = JSON.parse(process.argv[2]);
const never = () => new Promise(() => undefined);

class Rooms {
  may() {
    return true;
  }
  said() {
    return hangs ? never() : undefined;
  }
}
const decorate = (decorator, name) =>
  decorator(Rooms.prototype, name, Object.getOwnPropertyDescriptor(Rooms.prototype, name));
decorate(Authorize('subscribe', 'publish'), 'may');
decorate(OnPublish('said'), 'said');
Channel('rooms.:room', { presence: hangs === true })(Rooms);

class Pushes {
  onOffline() {
    process.send({ type: 'hook' });
    return never();
  }
}

class Root {}
Module({
  imports: [
    RealtimeModule.forRoot({
      nodeId,
      ticketSecret: 'a secret of the tests of signals',
      auth: { anonymous: true },
      broker: redisBroker(redis),
      drain,
      ...(hangs
        ? {
            hooks: realtimeHooks({ providers: [Pushes] }),
            audit: { sinks: [{ name: 'table', write: never }] },
          }
        : {}),
      retry: { base: 50, max: 300, firstSpread: 200, stable: 2_000 },
      limits: { ratePerSecond: 2_000, burst: 4_000, maxConnectionsPerAddress: 10_000 },
    }),
  ],
  providers: [Rooms, Pushes],
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
if (hangs) {
  const realtime = app.get(RealtimeService);
  realtime.audit.record({ act: 'close_room', by: 'ada' });
  await realtime.user('ada').publish('notice', {});
}
process.send({ type: 'ready', port: app.getHttpServer().address().port });
