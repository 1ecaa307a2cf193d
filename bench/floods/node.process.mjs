// The node that is flooded: an application with the library, in a process of its own, with the library's defaults.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { MessageBody } from '@nestjs/websockets';
import { NestFactory } from '@nestjs/core';
import { Module } from '@nestjs/common';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  RealtimeError,
  RealtimeModule,
  RealtimeService,
  Snapshot,
} from '../../dist/index.js';
import { decorate } from '../support/decorate.mjs';
import { profiler } from '../support/profiler.mjs';
import { PeakMemory } from '../support/peak-memory.mjs';
import { answerWith, settingsOf } from './child.mjs';
import { SECRET } from './tokens.mjs';
import { TurnMeter } from './turn-meter.mjs';
import { NEIGHBOUR_CHANNEL, QUIET_CHANNEL, QUIET_EVENTS } from './neighbours.mjs';

/** How long a handler works that has to wait for something else. */
const SLOW_MS = 2_000;
const SAMPLE_MS = 50;
const TICK_MS = 100;
const { options = {}, logs = {}, verifyMs } = settingsOf();
const running = { now: 0, most: 0 };
const calls = { authorizations: 0 };
const verifying = { now: 0, most: 0 };

/** A service that is asked who somebody is, and takes its time. A token is the name of its user. */
const slowAuthenticator = {
  async authenticate({ token }) {
    verifying.most = Math.max(verifying.most, ++verifying.now);
    await new Promise((resolve) => setTimeout(resolve, verifyMs));
    verifying.now--;
    if (token === undefined) return {};
    if (token.startsWith('wrong')) throw new RealtimeError('unauthorized', 'Nobody knows this token');
    return { user: { id: subjectOf(token) } };
  },
};

/** The user of a token, unverified. */
function subjectOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).sub;
}

class RoomsChannel {
  may() {
    calls.authorizations++;
    return true;
  }
  said(message) {
    return message;
  }
  snapshot() {
    return { title: 'A room', open: true };
  }
  echo(message) {
    return message ?? null;
  }
  async slow() {
    running.most = Math.max(running.most, ++running.now);
    await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    running.now--;
    return { done: true };
  }
}
decorateRoom(RoomsChannel, Channel('rooms.:room', { presence: true, signals: ['typing'] }));

class FeedsChannel extends RoomsChannel {}
decorateRoom(FeedsChannel, Channel('feeds.:feed', { overflow: 'drop-oldest' }));

class StatesChannel extends RoomsChannel {}
decorateRoom(StatesChannel, Channel('states.:state', { overflow: 'conflate' }));

/** A class with everything that a channel can have. */
function decorateRoom(type, channel) {
  const { prototype } = type;
  for (const name of ['may', 'said', 'snapshot', 'echo', 'slow']) {
    // Decorators belong to the method, and a method to one class.
    const method = prototype[name];
    Object.defineProperty(prototype, name, {
      configurable: true,
      writable: true,
      value: function (...args) {
        return method.apply(this, args);
      },
    });
  }
  decorate(type, {
    on: [channel],
    methods: {
      may: { on: [Authorize('subscribe', 'publish', 'history', 'presence', 'request', ...signals(type))] },
      said: { on: [OnPublish('said')], params: [[MessageBody()]], types: [Object] },
      snapshot: { on: [Snapshot()] },
      echo: { on: [OnRequest('echo')], params: [[MessageBody()]], types: [Object] },
      slow: { on: [OnRequest('slow')] },
    },
  });
}

function signals(type) {
  return type === RoomsChannel ? ['signal'] : [];
}

class AppModule {}
decorate(AppModule, {
  on: [
    Module({
      imports: [
        RealtimeModule.forRoot({
          auth: {
            ...(verifyMs === undefined
              ? { jwt: { secret: SECRET, algorithms: ['HS256'] } }
              : { authenticator: slowAuthenticator }),
            anonymous: true,
          },
          ...options,
        }),
      ],
      providers: [RoomsChannel, FeedsChannel, StatesChannel],
    }),
  ],
});

const app = await NestFactory.create(AppModule, { abortOnError: false });
await app.listen(0, '127.0.0.1');
const realtime = app.get(RealtimeService);
// What a client wrote long ago, and should still find after the flood.
for (let index = 0; index < QUIET_EVENTS; index++)
  await realtime.channel(QUIET_CHANNEL).publish('said', { index });
for (const [name, { events, bytes }] of Object.entries(logs)) {
  const text = 'x'.repeat(bytes);
  for (let index = 0; index < events; index++) await realtime.channel(name).publish('said', { index, text });
}
let ticks = 0;
setInterval(() => {
  realtime
    .channel(NEIGHBOUR_CHANNEL)
    .publish('tick', { tick: ++ticks })
    .catch((error) => console.error('A tick was refused', error));
}, TICK_MS);

const delay = monitorEventLoopDelay({ resolution: 5 });
const turns = new TurnMeter();
const peak = new PeakMemory();
const most = { heap: 0, outside: 0 };
let sampling;

const memory = () => {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, outside: external };
};
const collected = () => {
  for (let round = 0; round < 4; round++) globalThis.gc?.();
  return memory();
};

answerWith(
  {
    async begin() {
      await profiler?.start();
      const base = collected();
      Object.assign(most, { heap: 0, outside: 0 });
      Object.assign(calls, { authorizations: 0 });
      running.most = running.now;
      verifying.most = verifying.now;
      peak.reset();
      delay.reset();
      delay.enable();
      turns.start();
      sampling = setInterval(() => {
        const { heap, outside } = memory();
        most.heap = Math.max(most.heap, heap);
        most.outside = Math.max(most.outside, outside);
      }, SAMPLE_MS);
      return base;
    },
    async end() {
      delay.disable();
      const turn = turns.stop();
      await profiler?.stop();
      clearInterval(sampling);
      const last = memory();
      return {
        loopP99: delay.percentile(99) / 1e6,
        loopMax: delay.max / 1e6,
        turn,
        peakRss: peak.read(),
        peakHeap: Math.max(most.heap, last.heap),
        peakOutside: Math.max(most.outside, last.outside),
        // What is really in use, while the attackers are still connected.
        held: collected(),
        slowHandlers: running.most,
        verifications: verifying.most,
        authorizations: calls.authorizations,
      };
    },
  },
  { port: app.getHttpServer().address().port },
);
