import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { ClientStatus, RealtimeClient } from '../../lib/client/index.js';
import type { httpFallback } from '../../lib/client/http.js';
import { patience, stretched } from '../support/patience.js';
import { HOST } from '../support/proxies/configuration.js';
import { ProxyProcess } from '../support/proxies/process.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireServer } from '../support/wire/server.js';
import { launchChromium } from './support/chromium.js';
import { bundle, startSite } from './support/site.js';

// Many tabs of one browser, each with a session over HTTP: a browser opens six connections of HTTP/1.1 to a server.
const TABS = 8;
const TABS_HTTP2 = 20;
const HTML = '<!doctype html><meta charset="utf-8"><title>Tab</title><script src="/client.js"></script>';
const ENTRY = 'test/browser/pages/http-client.ts';

/** Of the client of a tab. */
interface TabOptions {
  readonly transports: readonly ('sse' | 'polling')[];
  readonly hiddenAfterMs?: number;
}

/** What a tab keeps. */
interface Kept {
  realtime: { RealtimeClient: typeof RealtimeClient; httpFallback: typeof httpFallback };
  client: RealtimeClient;
  latest: ClientStatus;
  seen: unknown[];
}
declare const globalThis: Kept & { document: { dispatchEvent(event: Event): boolean } };

let browser: Browser;
let script: string;
let server: WireServer;
let context: BrowserContext;
let cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  [browser, script] = await Promise.all([
    launchChromium({ args: [`--host-resolver-rules=MAP ${HOST} 127.0.0.1`] }),
    bundle(ENTRY, { globalName: 'realtime' }),
  ]);
});

afterAll(() => browser?.close());

afterEach(async () => {
  for (const task of cleanUp.reverse()) await task();
  cleanUp = [];
});

async function start(): Promise<void> {
  server = await startSite(
    { '/': ['text/html', HTML], '/client.js': ['text/javascript', script] },
    {
      channels: [wireChannel('rooms.:room', { publish: ['said'] })],
      requests: new Map([['echo', { authorize: 'public', handle: ({ payload }) => payload }]]),
      settings: { anonymous: true, retry: { baseMs: 20, firstSpreadMs: 20 } },
      transport: { allowedOrigins: 'same-origin' },
    },
  );
  cleanUp.push(() => server.close());
  context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(patience(10_000));
  cleanUp.push(() => context.close());
}

/** A tab whose client follows the room over one transport. Resolves before it is live. */
async function openTab(url: string, options: TabOptions): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await page.evaluate((given) => {
    const { RealtimeClient: Client, httpFallback: fallback } = globalThis.realtime;
    const client = new Client('/realtime', { fallback: fallback(given) });
    globalThis.client = client;
    globalThis.seen = [];
    globalThis.latest = client.status;
    client.on('state', (status) => (globalThis.latest = status));
    client.on('error', () => undefined);
    const room = client.channel('rooms.1');
    room.on('said', (payload) => globalThis.seen.push(payload));
    room.subscribe().catch(() => undefined);
  }, options);
  return page;
}

const statusOf = (page: Page): Promise<ClientStatus> => page.evaluate(() => globalThis.latest);
const seenBy = (page: Page): Promise<unknown[]> => page.evaluate(() => globalThis.seen);
const isLive = (page: Page) =>
  until('the tab to be live', async () => (await statusOf(page)).state === 'live');

/** A headless browser shows all of its tabs. */
async function setVisible(page: Page, isVisible: boolean): Promise<void> {
  await page.evaluate(
    (state) => {
      Object.defineProperty(globalThis.document, 'visibilityState', { value: state, configurable: true });
      globalThis.document.dispatchEvent(new Event('visibilitychange'));
    },
    isVisible ? 'visible' : 'hidden',
  );
}

const echo = (page: Page, value: number): Promise<unknown> =>
  page.evaluate((payload) => globalThis.client.request('echo', payload), value);

const publish = (payload: unknown) => server.engine.application.publish('rooms.1', 'said', payload);

describe.each(['sse', 'polling'] as const)('tabs of one browser with sessions by %s', (transport) => {
  it(
    `on HTTP/1.1 stay usable, ${TABS} of them: hidden ones give their connection away and miss nothing (P21)`,
    async () => {
      await start();
      const { port } = new URL(server.httpUrl);
      const options = { transports: [transport], hiddenAfterMs: stretched(100) };
      const tabs: Page[] = [];
      for (let number = 0; number < TABS; number++) {
        const tab = await openTab(`http://127.0.0.1:${port}/`, options);
        tabs.push(tab);
        await isLive(tab);
        expect((await statusOf(tab)).transport).toBe(transport);
        expect(await echo(tab, number)).toBe(number);
        await publish(number);
        if (number < TABS - 1) await setVisible(tab, false);
      }
      // Every one is looked at again, and the one before it is put away.
      for (const [number, tab] of tabs.entries()) {
        await setVisible(tabs[(number + TABS - 1) % TABS] as Page, false);
        await setVisible(tab, true);
        expect(await echo(tab, 100 + number)).toBe(100 + number);
        const last = `shown ${number}`;
        await publish(last);
        await until('the tab to have everything', async () => (await seenBy(tab)).includes(last));
      }
      const everything = [...Array(TABS).keys(), ...Array.from({ length: TABS }, (_, n) => `shown ${n}`)];
      for (const [number, tab] of tabs.entries()) {
        const seen = await seenBy(tab);
        expect(seen).toEqual(everything.slice(number, number + seen.length));
        expect(seen).toContain(`shown ${number}`);
      }
    },
    patience(60_000),
  );

  it(
    `on HTTP/2 all keep their sessions, ${TABS_HTTP2} of them behind Caddy, with room for requests (P21)`,
    async () => {
      await start();
      const proxy = await ProxyProcess.start('caddy', { nodes: [Number(new URL(server.httpUrl).port)] });
      // Last: it waits for the streams that go through it.
      cleanUp.unshift(() => proxy.close());
      const tabs: Page[] = [];
      for (let number = 0; number < TABS_HTTP2; number++)
        tabs.push(await openTab(`https://${proxy.authority}/`, { transports: [transport] }));
      for (const tab of tabs) await isLive(tab);
      expect(server.engine.status.sessions).toBe(TABS_HTTP2);
      const protocol = await (tabs[0] as Page).evaluate(
        () =>
          (performance.getEntriesByType('navigation')[0] as unknown as { nextHopProtocol: string })
            .nextHopProtocol,
      );
      expect(protocol).toBe('h2');
      await publish('to all');
      for (const [number, tab] of tabs.entries()) {
        expect(await echo(tab, number)).toBe(number);
        await until('the event', async () => (await seenBy(tab)).includes('to all'));
      }
      expect(server.engine.status.sessions).toBe(TABS_HTTP2);
    },
    patience(120_000),
  );
});
