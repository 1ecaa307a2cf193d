import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import type { ClientStatus, RealtimeClient } from '../../lib/client/index.js';
import { recordFigures, median } from '../support/figures.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireServer } from '../support/wire/server.js';
import { SwitchingProxy } from '../support/wire/switching-proxy.js';
import { makeCertificate } from '../support/certificate.js';
import { launchChromium } from './support/chromium.js';
import { bundle, SitePage, startSite, type Files } from './support/site.js';

// The client in pages and workers of Chromium, with what Chromium itself says of its network and its sleep.
const CLIENTS = 10;
const HTML = '<!doctype html><meta charset="utf-8"><title>Page</title><script src="/client.js"></script>';
/** Shorter than this, a page that stood still looks like a slow one. */
const FREEZE_MS = 4_000;

/** What a page keeps for the test. */
interface Kept {
  realtime: { RealtimeClient: typeof RealtimeClient };
  client: RealtimeClient;
  states: ClientStatus[];
  took: number[];
  since: number;
  seen: unknown[][];
  recovery: string;
  shown: () => unknown[];
}
declare const globalThis: Kept & EventTarget & { document: EventTarget };

let browser: Browser;
let script: string;
let server: WireServer;
let site: SitePage;
let cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  [browser, script] = await Promise.all([
    launchChromium({
      // Pages that are left are kept, as they are for users.
      ignoreDefaultArgs: ['--disable-back-forward-cache'],
    }),
    bundle('lib/client/index.ts', { globalName: 'realtime' }),
  ]);
});

afterAll(() => browser?.close());

afterEach(async () => {
  for (const task of cleanUp.reverse()) await task();
  cleanUp = [];
  expect(site.problems).toEqual([]);
});

/** The numbers that were published to a board, and up to where. */
const snapshot = {
  shareable: true,
  run: async () => {
    const { events, position } = await server.engine.application.history('boards.1');
    return { state: events.map(({ payload }) => payload), position };
  },
};

/** Opens a page of a new site, which has the client as `realtime`. */
async function open(files: Files = {}, secure = false): Promise<SitePage> {
  server = await startSite(
    { '/': ['text/html', HTML], '/client.js': ['text/javascript', script], ...files },
    {
      channels: [wireChannel('rooms.:room'), wireChannel('boards.:board', { behaviour: { snapshot } })],
      ...(secure ? { tls: makeCertificate('localhost') } : {}),
    },
  );
  cleanUp.push(() => server.close());
  const url = new URL('/', server.httpUrl).href;
  site = await SitePage.open(browser, url, { ignoreHTTPSErrors: secure });
  cleanUp.push(() => site.close());
  return site;
}

/** One client of the page, live. Its states are kept. */
async function live(url = '/realtime'): Promise<void> {
  await site.page.evaluate(async (address) => {
    const client = new globalThis.realtime.RealtimeClient(address, { token: () => 'ada' });
    globalThis.client = client;
    globalThis.states = [];
    client.on('state', (status) => globalThis.states.push(status));
    await client.connect();
  }, url);
}

const pings = (): number => site.commands('ping').length;

/** A proxy in front of the server, whose open connections a test can leave dead. */
async function proxied(): Promise<{ proxy: SwitchingProxy; url: string }> {
  const proxy = await SwitchingProxy.start(Number(new URL(server.url).port));
  cleanUp.push(() => proxy.stop());
  return { proxy, url: `ws://127.0.0.1:${proxy.port}/realtime` };
}

/** Subscribed clients of the page, which keep their events, and how long after `since` they were subscribed again. */
async function subscribedClients(url: string): Promise<void> {
  await site.page.evaluate(
    async ([address, count]) => {
      globalThis.took = [];
      globalThis.seen = [];
      globalThis.addEventListener('online', () => (globalThis.since = performance.now()));
      await Promise.all(
        Array.from({ length: count }, async () => {
          const seen: unknown[] = [];
          globalThis.seen.push(seen);
          const client = new globalThis.realtime.RealtimeClient(address, { token: () => 'ada' });
          const room = client.channel('rooms.1');
          room.on('tick', (n) => seen.push(n));
          await room.subscribe();
          room.on('state', (state) => {
            if (state === 'subscribed') globalThis.took.push(performance.now() - globalThis.since);
          });
        }),
      );
    },
    [url, CLIENTS] as const,
  );
  await tick(1);
  await until('the event before', () =>
    site.page.evaluate(() => globalThis.seen.every(({ length }) => length === 1)),
  );
}

const tick = (n: number, channel = 'rooms.1') => server.engine.application.publish(channel, 'tick', n);

/** Stops, or continues, the processes in which the pages of this browser run. */
async function signalPages(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  const devtools = await browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo');
  for (const { type, id } of processInfo) if (type === 'renderer') process.kill(id, signal);
  await devtools.detach();
}

/** Waits until all clients of the page are back with every event, and gives how long that took. */
async function backWithAll(): Promise<number[]> {
  const took = () => site.page.evaluate(() => globalThis.took);
  await until('all to be subscribed again', async () => (await took()).length === CLIENTS);
  await tick(3);
  const seen = () => site.page.evaluate(() => globalThis.seen);
  await until('the last event', async () => (await seen()).every(({ length }) => length === 3));
  expect(await seen()).toEqual(Array.from({ length: CLIENTS }, () => [1, 2, 3]));
  return took();
}

describe('a page whose network is switched', () => {
  it(
    'is live within three seconds of `online`, and misses no event (P9a, G3)',
    async () => {
      await open();
      const { proxy, url } = await proxied();
      await subscribedClients(url);
      proxy.switchNetwork();
      await tick(2);
      await site.page.context().setOffline(true);
      await site.page.context().setOffline(false);
      const took = await backWithAll();
      recordFigures('network-switch', 'Chromium, `online` after a switch', took);
      expect(median(took)).toBeLessThan(stretched(3_000));
      // Chromium itself has nothing to say of an open socket that is dead.
      site.problems.splice(0);
    },
    patience(60_000),
  );

  it(
    'whose process was stopped, as by a sleep, is live within three seconds of its end (P9a, G3)',
    async () => {
      await open();
      const { proxy, url } = await proxied();
      await subscribedClients(url);
      await signalPages('SIGSTOP');
      proxy.switchNetwork();
      await tick(2);
      await elapse(FREEZE_MS);
      await signalPages('SIGCONT');
      await site.page.evaluate(() => (globalThis.since = performance.now()));
      const took = await backWithAll();
      recordFigures('network-switch', 'Chromium, a page that stood still after a switch', took);
      expect(median(took)).toBeLessThan(stretched(3_000));
    },
    patience(60_000),
  );
});

describe('a live page', () => {
  it.each([
    ['offline', () => globalThis.dispatchEvent(new Event('offline'))],
    ['online', () => globalThis.dispatchEvent(new Event('online'))],
    ['visibilitychange', () => globalThis.document.dispatchEvent(new Event('visibilitychange'))],
    ['resume', () => globalThis.document.dispatchEvent(new Event('resume'))],
    ['pageshow', () => globalThis.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))],
  ] as const)('asks its server at once, and stays live when it answers: %s (P9a)', async (_, fire) => {
    await open();
    await live();
    expect(pings()).toBe(0);
    await site.page.evaluate(fire);
    await until('the ping', () => pings() === 1);
    await until('the answer', () => site.received.flat().some((text) => text.includes('"pong"')));
    // The second time too.
    await site.page.evaluate(fire);
    await until('the second ping', () => pings() === 2);
    expect(await site.page.evaluate(() => globalThis.states.map(({ state }) => state))).toEqual([
      'connecting',
      'live',
    ]);
  });

  it('that was left, and comes back out of the browser’s cache, misses no event (P9a, G3)', async () => {
    await open({ '/other': ['text/html', '<!doctype html><title>Other</title>'] });
    await subscribedClients('/realtime');
    await site.page.goto(new URL('/other', server.httpUrl).href);
    await tick(2);
    await site.page.goBack({ waitUntil: 'commit' });
    await backWithAll();
    const problems = site.problems.splice(0);
    for (const problem of problems) expect(problem).toMatch(/Page entered Back-Forward Cache/);
  });
});

describe('two tabs with one session of a user', () => {
  /** A board that keeps its position and its state for this tab, and shows what it began with, then every number. */
  const board = (): Promise<void> =>
    site.page.evaluate(async () => {
      const client = new globalThis.realtime.RealtimeClient('/realtime', { token: () => 'ada' });
      const stored = JSON.parse(sessionStorage.getItem('board') ?? '{"state":[]}') as {
        position?: never;
        state: unknown[];
      };
      let { state } = stored;
      globalThis.shown = () => state;
      const room = client.channel('boards.1');
      room.on('tick', (n) => (state = [...state, n]));
      room.on('recovered', (what) => 'snapshot' in what && (state = what.snapshot as unknown[]));
      const { recovery, snapshot } = await room.subscribe({
        persist: {
          load: () => stored.position,
          save: (position) => sessionStorage.setItem('board', JSON.stringify({ position, state })),
        },
      });
      globalThis.recovery = recovery;
      if (recovery === 'new') state = snapshot as unknown[];
    });
  const view = () => site.page.evaluate(() => [globalThis.recovery, globalThis.shown()]);
  const sees = (list: unknown[]) =>
    until(`the board to show ${list.length}`, async () => {
      const [, state] = await view();
      return JSON.stringify(state) === JSON.stringify(list);
    });

  it('each has its own position: a new tab is given the state, a reload continues with what was kept', async () => {
    await open();
    await board();
    await tick(1, 'boards.1');
    await sees([1]);
    const first = site.page;
    site.page = await first.context().newPage();
    await site.page.goto(first.url());
    await board();
    expect(await view()).toEqual(['new', [1]]);
    await tick(2, 'boards.1');
    await sees([1, 2]);
    site.page = first;
    await sees([1, 2]);
    await site.page.goto('about:blank');
    await tick(3, 'boards.1');
    await site.page.goto(new URL('/', server.httpUrl).href);
    await board();
    await sees([1, 2, 3]);
    expect(await view()).toEqual(['complete', [1, 2, 3]]);
  });
});

describe('a page whose policy forbids the socket', () => {
  it('learns it at once, with the reason, and keeps trying', async () => {
    await open({
      '/': ['text/html', HTML, { 'content-security-policy': "default-src 'self'; connect-src 'none'" }],
    });
    const status = await site.page.evaluate(
      () =>
        new Promise<ClientStatus & { ms: number }>((resolve) => {
          const since = performance.now();
          const client = new globalThis.realtime.RealtimeClient('/realtime');
          client.on('state', (now) => {
            if (now.state !== 'waiting') return;
            resolve({ ...now, ms: performance.now() - since });
            // The console would tell of each attempt that follows.
            void client.close();
          });
          client.connect().catch(() => undefined);
        }),
    );
    expect(status).toMatchObject({ state: 'waiting', code: 1006, attempt: 1 });
    expect(status.reason).toMatch(
      /cannot be reached: .*CORS or the page’s policy forbids it: see the console/,
    );
    // Not the ten seconds of `connectTimeoutMs`.
    expect(status.ms).toBeLessThan(stretched(2_000));
    // Behind everything that the console has to tell.
    await site.page.evaluate(() => console.error('That was all.'));
    await until(
      'the last line of the console',
      () => site.problems.at(-1)?.includes('That was all.') === true,
    );
    const problems = site.problems.splice(0).slice(0, -1);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems)
      expect(problem).toMatch(/Content Security Policy|Connecting to|Fetch API/);
  });
});

describe('an https page', () => {
  it('connects to a path by wss', async () => {
    await open({}, true);
    const sockets: string[] = [];
    site.page.on('websocket', (socket) => sockets.push(socket.url()));
    await live();
    expect(sockets).toEqual([server.url]);
    expect(server.url).toMatch(/^wss:/);
  });

  it('that names ws: learns why that cannot be, and nothing waits', async () => {
    await open({}, true);
    const told = await site.page.evaluate(async () => {
      const client = new globalThis.realtime.RealtimeClient('ws://example.test/realtime');
      const subscribed = await client
        .channel('rooms.1')
        .subscribe()
        .catch((error: Error) => error.message);
      return { subscribed, state: client.state };
    });
    expect(told).toEqual({ subscribed: expect.stringMatching(/insecure|HTTPS/i), state: 'closed' });
    site.problems.splice(0);
  });
});

describe('a worker', () => {
  const WORK = `
    const client = new realtime.RealtimeClient('/realtime', { token: () => 'ada' });
    const room = client.channel('rooms.1');
    room.on('tick', (n) => tell(n));
    const ready = room.subscribe().then(() => tell('subscribed'), (error) => tell(String(error)));`;

  it('made of a blob connects to a path of its page', async () => {
    await open();
    await site.page.evaluate(
      ([work]) => {
        const origin = location.origin;
        const source = `importScripts('${origin}/client.js'); const tell = postMessage; ${work}`;
        const worker = new Worker(URL.createObjectURL(new Blob([source])));
        globalThis.seen = [];
        worker.onmessage = ({ data }) => globalThis.seen.push(data as never);
      },
      [WORK],
    );
    const seen = () => site.page.evaluate(() => globalThis.seen as unknown[]);
    await until('the worker', async () => (await seen()).length === 1);
    await tick(7);
    await until('the event', async () => (await seen()).length === 2);
    expect(await seen()).toEqual(['subscribed', 7]);
  });

  it('of the service kind connects, and gets events', async () => {
    await open({
      '/worker.js': [
        'text/javascript',
        `importScripts('/client.js');
         const tell = async (text) => {
           for (const page of await clients.matchAll({ includeUncontrolled: true })) page.postMessage(text);
         };
         onmessage = (event) => { event.waitUntil((async () => { ${WORK} await ready; })()); };`,
      ],
    });
    await site.page.evaluate(async () => {
      globalThis.seen = [];
      navigator.serviceWorker.onmessage = ({ data }) => globalThis.seen.push(data as never);
      await navigator.serviceWorker.register('/worker.js');
      (await navigator.serviceWorker.ready).active?.postMessage('go');
    });
    const seen = () => site.page.evaluate(() => globalThis.seen as unknown[]);
    await until('the worker', async () => (await seen()).length === 1);
    await tick(7);
    await until('the event', async () => (await seen()).length === 2);
    expect(await seen()).toEqual(['subscribed', 7]);
  });
});
