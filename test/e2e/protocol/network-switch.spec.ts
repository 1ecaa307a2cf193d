import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { RealtimeClient } from '../../../lib/client/index.js';
import { ClientProcess } from '../../support/client-process.js';
import { median, recordFigures } from '../../support/figures.js';
import { elapse, patience, stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import { SwitchingProxy } from '../../support/wire/switching-proxy.js';

const CLIENTS = 10;
/** Ticks of the client's watch that a freeze has to outlast, and what counts as late. */
const FREEZE_MS = 4_000;

let server: WireServer;
let proxy: SwitchingProxy;
let cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const task of cleanUp.reverse()) await task();
  cleanUp = [];
  await proxy.stop();
  await server.close();
});

/** @returns The address of a server behind a proxy. */
async function start(): Promise<string> {
  server = await startWireServer({ channels: [wireChannel('rooms.:room')] });
  proxy = await SwitchingProxy.start(Number(new URL(server.url).port));
  return `ws://127.0.0.1:${proxy.port}/realtime`;
}

/** Gives this process the events of a page. */
function page(): EventTarget {
  const target = new EventTarget();
  const names = ['addEventListener', 'removeEventListener'] as const;
  for (const name of names) {
    const given = Object.getOwnPropertyDescriptor(globalThis, name);
    const value: unknown = target[name].bind(target);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    cleanUp.push(() => {
      if (given === undefined) Reflect.deleteProperty(globalThis, name);
      else Object.defineProperty(globalThis, name, given);
    });
  }
  return target;
}

describe('a path that is dead without an end', () => {
  it(
    'is left within three seconds of `online`, and no event is missed (P9a, G3)',
    async () => {
      const url = await start();
      const target = page();
      const clients = Array.from(
        { length: CLIENTS },
        () => new RealtimeClient(url, { webSocket: WebSocket, token: () => 'ada' }),
      );
      cleanUp.push(() => Promise.all(clients.map((client) => client.close())));
      const seen = clients.map(() => [] as unknown[]);
      const took: number[] = [];
      let onlineAt = Infinity;
      await Promise.all(
        clients.map(async (client, index) => {
          const room = client.channel('rooms.1');
          room.on('tick', (payload) => seen[index]?.push(payload));
          await room.subscribe();
          room.on('state', (state) => state === 'subscribed' && took.push(performance.now() - onlineAt));
        }),
      );
      const tick = (n: number) => server.engine.application.publish('rooms.1', 'tick', n);
      await tick(1);
      await until('the event before', () => seen.every(({ length }) => length === 1));
      proxy.switchNetwork();
      await tick(2);
      target.dispatchEvent(new Event('offline'));
      target.dispatchEvent(new Event('online'));
      onlineAt = performance.now();
      await until('all to be subscribed again', () => took.length === CLIENTS);
      await tick(3);
      await until('the event after', () => seen.every(({ length }) => length === 3));
      expect(seen).toEqual(clients.map(() => [1, 2, 3]));
      recordFigures('network-switch', 'Node, `online` after a switch', took);
      expect(median(took)).toBeLessThan(stretched(3_000));
    },
    patience(60_000),
  );

  it(
    'is left within three seconds of the end of a sleep (P9a)',
    async () => {
      const child = await ClientProcess.start(await start(), CLIENTS);
      cleanUp.push(() => child.stop());
      const live = (since = 0) =>
        child.states.filter(({ status, at }) => status.state === 'live' && at > since);
      await until('all clients to be live', () => live().length === CLIENTS);
      child.freeze();
      proxy.switchNetwork();
      await elapse(FREEZE_MS);
      const thawedAt = child.thaw();
      await until('all clients to be live again', () => live(thawedAt).length === CLIENTS);
      const took = live(thawedAt).map(({ at }) => at - thawedAt);
      recordFigures('network-switch', 'Node, a thawed process after a switch', took);
      expect(median(took)).toBeLessThan(stretched(3_000));
    },
    patience(60_000),
  );
});
