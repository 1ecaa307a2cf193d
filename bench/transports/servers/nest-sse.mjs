import { Controller, Module, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import 'reflect-metadata';
import { Subject } from 'rxjs';
import { decorate } from '../../support/decorate.mjs';
import { listenNest } from '../../support/nest-app.mjs';
import { turnOfTheLoop, writtenBy } from '../../support/server-side.mjs';
import { serveFanOut } from '../../fanout/serve-fanout.mjs';
import { eventOf } from '../../fanout/event.mjs';

// What the Nest documentation shows: one subject, and a stream of it for each client.
const events = new Subject();
class Feed {
  events() {
    return events;
  }
}
decorate(Feed, { on: [Controller()] });
Sse('events')(Feed.prototype, 'events', Object.getOwnPropertyDescriptor(Feed.prototype, 'events'));
class AppModule {}
decorate(AppModule, { on: [Module({ controllers: [Feed] })] });
const app = await NestFactory.create(AppModule, { logger: ['error'], abortOnError: false });
let seq = 0;
await serveFanOut({
  listen: () => listenNest(app),
  written: writtenBy(app.getHttpServer()),
  publish(payload) {
    events.next({ id: String(++seq), data: eventOf(seq, payload) });
  },
  async settle() {
    await turnOfTheLoop();
    await turnOfTheLoop();
  },
});
