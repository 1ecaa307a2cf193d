// An application without clients whose shutdown waits for something of the application's. Started by test/fault/shutdown.spec.ts,
// which gives it one argument, JSON: { sink: 'fails' | 'hangs' | undefined, hook: 'hangs' | undefined, http }.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { realtimeHooks } from '../../dist/hooks/index.js';
import { RealtimeModule, RealtimeService } from '../../dist/index.js';

const { sink, hook, http } = JSON.parse(process.argv[2]);
const tell = (message) => process.send(message);

let failures = 0;
const sinks = [
  {
    name: 'table',
    write({ act }) {
      if (sink === 'hangs') return new Promise(() => undefined);
      if (++failures <= 2) return Promise.reject(new Error('the table is locked'));
      tell({ type: 'taken', act });
      return undefined;
    },
  },
];

class Pushes {
  onOffline() {
    tell({ type: 'hook' });
    return new Promise(() => undefined);
  }
}

class Root {}
Module({
  imports: [
    RealtimeModule.forRoot({
      auth: { anonymous: true },
      drain: { deadline: '2s' },
      ...(sink === undefined ? {} : { audit: { sinks } }),
      ...(hook === undefined ? {} : { hooks: realtimeHooks({ providers: [Pushes] }) }),
    }),
  ],
  providers: [Pushes],
})(Root);

const logger = {
  log: () => undefined,
  warn: (message) => tell({ type: 'log', message: String(message) }),
  error: (message) => tell({ type: 'log', message: String(message) }),
};
const app = http
  ? await NestFactory.create(Root, { logger })
  : await NestFactory.createApplicationContext(Root, { logger });
if (http) await app.listen(0, '127.0.0.1');
const realtime = app.get(RealtimeService);
if (sink !== undefined) realtime.audit.record({ act: 'close_room', by: 'ada' });
if (hook !== undefined) {
  await realtime.user('ada').publish('notice', {});
  await new Promise((resolve) => setTimeout(resolve, 500));
}
// Nothing but the application may keep the process alive.
process.channel.unref();
await app.close();
tell({ type: 'closed' });
