import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { RealtimeClient, type WebSocketConstructor } from '../../../lib/client/index.js';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import type { WireServer } from '../../support/wire/server.js';

// Clients with many channels come back all at once: after a lost network, to another node, to a node that was restarted.
let cluster: WireCluster;
let tabs: Tab[] = [];
afterEach(async () => {
  await Promise.all(tabs.map((tab) => tab.client.close()));
  tabs = [];
  await cluster.close();
});

/** The library's client with `count` channels, on whichever node `at` is. */
class Tab {
  readonly client: RealtimeClient;
  readonly live = new Set<string>();
  /** Payloads that arrived, by channel. */
  readonly events = new Map<string, unknown[]>();
  /** What was not a plain continuation. */
  readonly losses: unknown[] = [];
  /** Commands that were refused. */
  refusals = 0;
  /** Connections that were opened. */
  connections = 0;
  private socket: WebSocket | undefined;

  constructor(
    user: string,
    count: number,
    public at: WireServer,
  ) {
    // The socket and the client that made it: the class is called by the client.
    const tab = this as Tab;
    const webSocket = class extends WebSocket {
      constructor(_url: string, protocols: string[]) {
        super(tab.at.url, protocols);
        tab.socket = this;
        this.on('message', (data: Buffer) => {
          tab.refusals += data.toString().split('"type":"error"').length - 1;
        });
        this.on('open', () => tab.connections++);
      }
    } as WebSocketConstructor;
    this.client = new RealtimeClient('ws://127.0.0.1:1/realtime', {
      token: () => user,
      webSocket,
      fetch: false,
      connectTimeoutMs: patience(10_000),
      requestTimeoutMs: patience(30_000),
    });
    this.client.on('error', () => undefined);
    for (let number = 0; number < count; number++) this.follow(`rooms.${number}`);
    tabs.push(this);
  }

  /** Cuts the connection as a network does, and waits until the client knows. */
  async cut(): Promise<void> {
    this.socket?.terminate();
    await until('the client to notice', () => this.live.size === 0);
  }

  private follow(name: string): void {
    const channel = this.client.channel(name);
    channel.on('state', (state) => {
      if (state === 'subscribed') this.live.add(name);
      else this.live.delete(name);
    });
    channel.on('gap', (gap) => this.losses.push(gap));
    channel.on('reset', (reset) => this.losses.push(reset));
    channel.on('said', (payload) => this.events.set(name, [...(this.events.get(name) ?? []), payload]));
    channel.subscribe().catch((error: unknown) => this.losses.push(error));
  }
}

const allLive = (count: number) =>
  until('all channels', () => tabs.every(({ live }) => live.size === count), patience(60_000));

describe('many channels come back at once (G16)', () => {
  const MANY = 5_000;
  const ROOMS = ['rooms.0', 'rooms.2499', 'rooms.4999'];

  it(
    'a client with 5,000 channels resumes them all, on its node, on another, and a second time, and no subscribe costs a command',
    async () => {
      cluster = await startWireCluster(2, {
        channels: [wireChannel('rooms.:room'), wireChannel('lobby', { publish: ['hello'] })],
        settings: {
          // A command a second: 5,000 that cost one would take more than an hour.
          limits: { maxChannels: MANY, ratePerSecond: 1, burst: 2, userRatePerSecond: 1 },
          retry: { baseMs: 1, maxMs: 10, firstSpreadMs: 1 },
        },
      });
      const [left, right] = cluster.nodes as [WireServer, WireServer];
      const tab = new Tab('ada', MANY, left);
      await allLive(MANY);
      const said = ROOMS.map(() => [] as string[]);
      for (const [round, node] of [left, right, right].entries()) {
        tab.at = node;
        await tab.cut();
        for (const [index, room] of ROOMS.entries()) {
          await (node === left ? right : left).engine.application.publish(room, 'said', `missed ${round}`);
          said[index]?.push(`missed ${round}`);
        }
        // One publish does not wait behind thousands of subscribes.
        const { seq } = await tab.client.channel('lobby').publish('hello');
        expect([seq, tab.live.size < MANY / 2]).toEqual([round + 1, true]);
        await allLive(MANY);
        for (const [index, room] of ROOMS.entries()) {
          await left.engine.application.publish(room, 'said', `live ${round}`);
          said[index]?.push(`live ${round}`);
        }
        await until('the events', () =>
          ROOMS.every((room, index) => tab.events.get(room)?.length === said[index]?.length),
        );
        expect(ROOMS.map((room) => tab.events.get(room))).toEqual(said);
      }
      expect(tab.losses).toEqual([]);
      expect(tab.refusals).toBe(0);
      expect(tab.events.size).toBe(ROOMS.length);
    },
    patience(120_000),
  );

  it(
    'a node that takes seconds for each subscribe refuses a client with 512 channels none of them',
    async () => {
      const COUNT = 512;
      const clock = new ManualClock();
      const asked: (() => void)[] = [];
      const subscribe = () => new Promise<boolean>((resolve) => asked.push(() => resolve(true)));
      cluster = await startWireCluster(1, {
        clock,
        channels: [wireChannel('rooms.:room', { behaviour: { authorize: { subscribe } } })],
        settings: { limits: { maxChannels: COUNT }, retry: { baseMs: 1, maxMs: 10 } },
      });
      const tab = new Tab('ada', COUNT, cluster.nodes[0] as WireServer);
      const { maxInFlight } = ENGINE_DEFAULTS.limits;
      for (let done = 0; done < COUNT; done += maxInFlight) {
        await until('as many handlers as may run at once', () => asked.length === maxInFlight);
        clock.advance(0.4 * ENGINE_DEFAULTS.handlerTimeoutMs);
        for (const answer of asked.splice(0)) answer();
      }
      await allLive(COUNT);
      expect([tab.refusals, tab.losses]).toEqual([0, []]);
    },
    patience(60_000),
  );

  it(
    'five tabs of one user with 128 channels each are all live again after their node was restarted, twice, without a storm',
    async () => {
      const COUNT = 128;
      cluster = await startWireCluster(1, {
        channels: [wireChannel('rooms.:room')],
        settings: { retry: { firstSpreadMs: 1 } },
      });
      const [first] = cluster.nodes as [WireServer];
      for (let tab = 0; tab < 5; tab++) new Tab('ada', COUNT, first);
      await allLive(COUNT);
      let old = first;
      for (let round = 0; round < 2; round++) {
        await old.close();
        await until('all tabs to notice', () => tabs.every(({ live }) => live.size === 0));
        const fresh = await cluster.start();
        await fresh.engine.application.publish('rooms.7', 'said', `missed ${round}`);
        for (const tab of tabs) tab.at = fresh;
        await allLive(COUNT);
        await fresh.engine.application.publish('rooms.127', 'said', `live ${round}`);
        await until('the events', () =>
          tabs.every(
            ({ events }) =>
              events.get('rooms.7')?.length === round + 1 && events.get('rooms.127')?.length === round + 1,
          ),
        );
        old = fresh;
      }
      expect(tabs.map(({ losses }) => losses)).toEqual(tabs.map(() => []));
      // A fresh node gives the user 256 free subscribes and each tab a burst of 100: what is above that comes a little later.
      for (const { refusals, connections } of tabs) {
        expect(refusals).toBeLessThan(2 * COUNT);
        expect(connections).toBe(3);
      }
    },
    patience(120_000),
  );

  it.each([true, false])(
    'who reconnects in a circle (its session: %p) causes no more authorizations than the rates of its user allow, and none of others (C4)',
    async (continues) => {
      const clock = new ManualClock();
      let asked = 0;
      cluster = await startWireCluster(1, {
        clock,
        channels: [
          wireChannel('rooms.:room', { behaviour: { authorize: { subscribe: () => (asked++, true) } } }),
        ],
        settings: { abuse: { throttleAfter: 1e6, closeAfter: 1e6 } },
      });
      const [node] = cluster.nodes as [WireServer];
      const subscribeAll = async (user: string, session?: string) => {
        const client = await node.open();
        const { session: next } = await client.hello(user, session === undefined ? {} : { session });
        client.sendAll(
          Array.from({ length: 128 }, (_, number) => ({
            type: 'subscribe',
            id: `s${number}`,
            channel: `rooms.${number}`,
          })),
        );
        let well = 0;
        for (const { type } of await client.nextAll(128)) if (type === 'reply') well++;
        await client.close();
        return { next, well };
      };
      let session: string | undefined;
      const seconds = 5;
      for (let round = 0; round < 10 * seconds; round++) {
        const { next } = await subscribeAll('mallory', continues ? session : undefined);
        session = next;
        clock.advance(100);
      }
      // Twice 128 and, for sessions that continue, as many again at once; a burst of two seconds, and then the rate.
      const free = continues ? 4 * 128 : 2 * 128;
      const regained = Math.ceil((free * seconds) / 60);
      expect(asked).toBeLessThanOrEqual(free + regained + 200 * (2 + seconds));
      // What it may, it can: the bound is no closed door.
      expect(asked).toBeGreaterThan(200 * seconds);
      const before = asked;
      expect((await subscribeAll('ada')).well).toBe(128);
      expect(asked - before).toBe(128);
    },
    patience(60_000),
  );
});
