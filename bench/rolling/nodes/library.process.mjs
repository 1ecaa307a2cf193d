// A node of the library, as docs/operations.md has it: SIGTERM closes the application.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { Authorize, Channel, OnPublish, RealtimeModule } from '../../../dist/index.js';
import { answerWith, settingsOf } from '../../floods/child.mjs';
import { decorate } from '../../support/decorate.mjs';

const { redis, options = {} } = settingsOf();

class Rooms {
  may() {
    return true;
  }
  said() {
    return undefined;
  }
}
decorate(Rooms, {
  on: [Channel('rooms.:room')],
  methods: { may: { on: [Authorize('subscribe', 'publish')] }, said: { on: [OnPublish('said')] } },
});

class Root {}
decorate(Root, {
  on: [
    Module({
      imports: [
        RealtimeModule.forRoot({
          auth: { anonymous: true },
          broker: redisBroker({ url: redis }),
          ticketSecret: 'the same on every node of this bench',
          // All clients come from one address, that of the balancer.
          limits: {
            maxConnectionsPerAddress: 100_000,
            connectsPerSecond: 100_000,
            maxVerificationsPerAddress: 1_000,
          },
          ...options,
        }),
      ],
      providers: [Rooms],
    }),
  ],
});

const app = await NestFactory.create(Root, { logger: ['error', 'warn'], abortOnError: false });
app.enableShutdownHooks([], { useProcessExit: true });
await app.listen(0, '127.0.0.1');
answerWith({}, { port: app.getHttpServer().address().port });
