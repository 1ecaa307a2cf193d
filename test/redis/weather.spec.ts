// Redis in bad weather: it is there and refuses, each in its way. What stays up, what fails and what is said of it, under load.
// A few seconds each; WEATHER_SECONDS=60 for a longer run, which prints what docs/scaling.md says of it.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RealtimeHealthIndicator, RealtimeHealthModule } from '../../lib/health/index.js';
import { Authorize, Channel, PublicChannel, RealtimeService } from '../../lib/nest/index.js';
import { RealtimeRuntime } from '../../lib/nest/lifecycle/realtime-runtime.js';
import { PLATFORMS, startApp, type TestApp } from '../e2e/nest/support/nest-app.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import type { WireClient } from '../support/wire/client.js';
import { RedisKit } from './kit.js';

const MAX_AGE_MS = stretched(1_500);
/** Longer than a node may go without a proof that it knows every revoke, and than it counts as alive without a sign of life. */
const LASTS_MS = Number(process.env['WEATHER_SECONDS'] ?? 0) * 1_000 || 2 * MAX_AGE_MS;
/** Of two nodes: one in ten seconds and kind. */
const MOST_LINES = 2 * Math.ceil((LASTS_MS + patience(2_000)) / 10_000) + 2;
/** Keys that are read after a start; Redis looks at its clients after each 1,024, four times a second here. */
const LOADED = 1_024 * Math.ceil(LASTS_MS / 150);
const PROBE_MS = patience(500);
const [ROOM, NEWS, LOBBY] = ['rooms.1', 'news.1', 'lobby.1'];

@Channel('rooms.:room', { signals: ['typing'] })
class RoomsChannel {
  @Authorize('subscribe', 'signal')
  may() {
    return true;
  }
}

@PublicChannel()
@Channel('news.:topic')
class NewsChannel {}

@Channel('lobby.:room', { presence: true })
class LobbyChannel {
  @Authorize('subscribe')
  may() {
    return true;
  }
}

interface Node {
  readonly app: TestApp;
  readonly realtime: RealtimeService;
  readonly status: () => RealtimeRuntime['engine']['status'];
  readonly ready: () => Promise<{ readonly status: string; readonly reason?: string }>;
}

/** What was tried while the weather was bad, in its last moments. */
interface Findings {
  readonly publish: string;
  readonly history: string;
  readonly subscribe: string;
  readonly publicSubscribe: string;
  readonly enter: string;
  readonly members: string;
  readonly signal: string;
  readonly revoke: string;
  readonly withholding: boolean;
}

/** A way of Redis to refuse. */
interface Weather {
  readonly name: string;
  /** How the refusal begins. */
  readonly word: string;
  readonly begin: (kit: RedisKit) => Promise<unknown>;
  readonly end: (kit: RedisKit) => Promise<unknown>;
  /** What of it is certain. */
  readonly finds: Partial<Findings>;
}

const OK = 'ok';
const AWAY = 'unavailable';
const READS = { history: OK, subscribe: OK, publicSubscribe: OK, members: OK, signal: OK };
const STANDS = { history: AWAY, subscribe: AWAY, members: AWAY, signal: AWAY };

const config = (option: string, value: string) => (kit: RedisKit) => kit.admin.config('SET', option, value);

async function bgsave({ admin }: RedisKit, status: 'ok' | 'err'): Promise<void> {
  await until(`a background save with the result ${status}`, async () => {
    await admin.bgsave().catch(() => undefined);
    return new RegExp(`rdb_last_bgsave_status:${status}`).test(await admin.info('persistence'));
  });
}

const WEATHER: readonly Weather[] = [
  {
    name: 'is full',
    word: 'OOM',
    begin: config('maxmemory', '1'),
    end: config('maxmemory', '0'),
    finds: { ...READS, publish: AWAY, enter: AWAY, revoke: OK, withholding: false },
  },
  {
    name: 'cannot write to its disk',
    word: 'MISCONF',
    begin: async (kit) => {
      // Of the name that the dump is to have.
      mkdirSync(join(kit.server.folder, 'dump.rdb'), { recursive: true });
      writeFileSync(join(kit.server.folder, 'dump.rdb', 'in-the-way'), '');
      await kit.admin.config('SET', 'save', '3600 1');
      await bgsave(kit, 'err');
    },
    end: async (kit) => {
      rmSync(join(kit.server.folder, 'dump.rdb'), { recursive: true });
      await bgsave(kit, 'ok');
      await kit.admin.config('SET', 'save', '');
    },
    finds: { ...READS, publish: AWAY, enter: AWAY, revoke: AWAY, withholding: false },
  },
  {
    name: 'misses its replicas',
    word: 'NOREPLICAS',
    begin: config('min-replicas-to-write', '1'),
    end: config('min-replicas-to-write', '0'),
    finds: { ...STANDS, publicSubscribe: OK, publish: AWAY, enter: AWAY, revoke: AWAY, withholding: true },
  },
  {
    name: 'is a replica now',
    word: 'READONLY',
    begin: (kit) => kit.admin.replicaof('127.0.0.1', 1),
    end: (kit) => kit.admin.replicaof('NO', 'ONE'),
    // Each refusal ends the connection, to look for another master: a read finds one or none.
    finds: { ...STANDS, publish: AWAY, enter: AWAY, revoke: AWAY, withholding: true },
  },
  {
    name: 'has another password',
    word: 'NOAUTH',
    begin: async ({ admin }) => {
      await admin.config('SET', 'requirepass', 'another');
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
    end: ({ admin }) => admin.config('SET', 'requirepass', ''),
    finds: { ...STANDS, publicSubscribe: AWAY, publish: AWAY, enter: AWAY, revoke: AWAY, withholding: true },
  },
  {
    name: 'reads its data after a start',
    word: 'LOADING',
    begin: async ({ admin, server }) => {
      const pipeline = admin.pipeline();
      for (let index = 0; index < LOADED; index++) pipeline.set(`loaded.${index}`, index);
      await pipeline.exec();
      await server.kill();
      // It answers, and refuses: whether it is ready is looked at in the end.
      void server.launch().catch(() => undefined);
    },
    end: ({ admin }) =>
      until('Redis to have read its data', () =>
        admin.ping().then(
          () => true,
          () => false,
        ),
      ),
    finds: { ...STANDS, publicSubscribe: AWAY, publish: AWAY, enter: AWAY, revoke: AWAY, withholding: true },
  },
];

describe('Redis that is there and refuses', () => {
  let kit: RedisKit;
  const apps: TestApp[] = [];
  beforeAll(async () => {
    const microseconds = Math.ceil((1_500 * LASTS_MS) / LOADED);
    kit = await RedisKit.open({
      args: ['--appendfsync', 'everysec', '--key-load-delay', String(microseconds)],
    });
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  async function start(nodeId: string): Promise<Node> {
    const app = await startApp(PLATFORMS[0][1], {
      imports: [RealtimeHealthModule],
      providers: [RoomsChannel, NewsChannel, LobbyChannel],
      realtime: {
        nodeId,
        broker: kit.make({
          heartbeatMs: 100,
          nodeTtlMs: MAX_AGE_MS,
          controlMaxAgeMs: MAX_AGE_MS,
          commandTimeoutMs: stretched(700),
          controlTimeoutMs: stretched(500),
        }),
        drain: { deadline: '200ms', spread: 0 },
      },
    });
    apps.push(app);
    const runtime = app.app.get(RealtimeRuntime);
    const health = app.app.get(RealtimeHealthIndicator);
    return {
      app,
      realtime: app.app.get(RealtimeService),
      status: () => runtime.engine.status,
      ready: async () => (await health.ready('node', { timeoutMs: PROBE_MS })).node,
    };
  }

  /** `ok`, or the code of the error. */
  const outcome = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => OK,
      ({ code }: { code?: string }) => code ?? 'no code',
    );
  const answer = async (client: WireClient, command: Readonly<Record<string, unknown>>): Promise<string> => {
    const { type, payload } = await client.call(command);
    return type === 'error' ? String(payload['code']) : OK;
  };

  it.each(WEATHER)(
    'that $name ($word): who is there stays, what must wait waits, and each says why (G11, G20, G21)',
    async ({ word, begin, end, finds }) => {
      const [left, right] = [await start('left'), await start('right')];
      const ada = await left.app.connect('ada');
      for (const channel of [ROOM, NEWS, LOBBY]) await ada.subscribe(channel, { presence: {} });
      const bob = await right.app.connect('bob');
      await bob.subscribe(ROOM);
      // The logger of Nest is one for all applications of a process.
      const logged = () =>
        apps.flatMap(({ logger }) => logger.at('warn')).filter((line) => line.includes(word));
      let published = 0;
      const acknowledged = new Set<string>();
      /** Of every kind of channel, and what became of it. */
      const publish = async (): Promise<readonly string[]> =>
        await Promise.all(
          [ROOM, NEWS, LOBBY].map((channel) => {
            const id = `m${++published}`;
            return outcome(
              right.realtime
                .channel(channel)
                .publish('said', published, { id })
                .then(() => acknowledged.add(id)),
            );
          }),
        );
      expect(await publish()).toEqual([OK, OK, OK]);

      /** The connections of subscriptions: none is made again as long as the server answers on it. */
      const listening = async (): Promise<readonly string[]> =>
        [...String(await kit.admin.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).matchAll(/^id=(\d+)/gm)]
          .map(([, id]) => id ?? '')
          .sort();
      const before = await listening();

      await begin(kit);
      let found: Findings | undefined;
      let said = '';
      try {
        const since = performance.now();
        const outcomes = new Map<string, number>();
        while (performance.now() - since < LASTS_MS) {
          for (const one of await publish()) outcomes.set(one, (outcomes.get(one) ?? 0) + 1);
          await elapse(50);
        }
        await until('the status to name it', () => {
          const { brokerReason, brokerRefusal } = left.status();
          said = brokerRefusal ?? brokerReason ?? '';
          return said.includes(word);
        }).catch((error: Error) => {
          throw new Error(`${error.message}; it says: ${JSON.stringify(left.status())}`);
        });
        let error = '';
        await until('a publish to name it', async () => {
          const thrown = await right.realtime
            .channel(ROOM)
            .publish('said', 0)
            .catch((one: Error) => one);
          error = 'message' in thrown ? thrown.message : '';
          return error.includes(word);
        }).catch((failure: Error) => {
          throw new Error(`${failure.message}; it says: ${error}`);
        });
        const signals = ada.received.filter(({ type }) => type === 'signal').length;
        const sent = await answer(bob, { type: 'signal', channel: ROOM, event: 'typing', payload: {} });
        // A signal has no answer: it arrives, or an error says that it does not.
        found = {
          publish: (await publish()).at(0) ?? '',
          history: await answer(ada, { type: 'history', channel: ROOM, payload: { limit: 10 } }),
          subscribe: await answer(ada, { type: 'subscribe', channel: 'rooms.2', payload: {} }),
          publicSubscribe: await answer(ada, { type: 'subscribe', channel: 'news.2', payload: {} }),
          enter: await answer(bob, { type: 'subscribe', channel: LOBBY, payload: { presence: {} } }),
          members: await answer(ada, { type: 'presence', channel: LOBBY, payload: {} }),
          signal: sent,
          revoke: await outcome(
            right.realtime
              .user('nobody')
              .revoke(ROOM)
              .then(({ missing }) => {
                if (missing.length > 0)
                  throw Object.assign(new Error(), { code: `missing ${missing.join()}` });
              }),
          ),
          withholding: left.status().withholding,
        };
        const ready = await left.ready();
        process.stdout.write(
          `  weather: ${word} for ${Math.round((performance.now() - since) / 1_000)} s: ${JSON.stringify({
            ...found,
            publishes: Object.fromEntries(outcomes),
            signals,
            status: said,
            health: `${ready.status}: ${ready.reason ?? ''}`,
            log: logged(),
            error,
          })}\n`,
        );
        expect(found).toMatchObject(finds);
        if (finds.publicSubscribe === OK) expect(await listening()).toEqual(before);
        expect(ready.reason).toContain(word);
        expect(ready.status).not.toBe('down');
        // Each node says it once, however many commands are refused; again after a while, where it comes and goes.
        expect(logged().length).toBeGreaterThanOrEqual(2);
        expect(logged().length).toBeLessThanOrEqual(MOST_LINES);
      } finally {
        await end(kit);
      }

      for (const node of [left, right])
        await until('readiness to be green', async () => (await node.ready()).status === 'up');
      expect(left.status()).toMatchObject({ broker: 'up', brokerRefusal: undefined, withholding: false });
      expect(await publish()).toEqual([OK, OK, OK]);
      await until('what was acknowledged', () => {
        const received = new Set(ada.received.flatMap(({ type, id }) => (type === 'event' ? [id] : [])));
        return [...acknowledged].every((id) => received.has(id));
      });
      expect([ada.ended, bob.ended]).toEqual([undefined, undefined]);
      expect((await right.realtime.user('nobody').revoke(ROOM)).missing).toEqual([]);
    },
    patience(60_000 + 2 * LASTS_MS),
  );
});
