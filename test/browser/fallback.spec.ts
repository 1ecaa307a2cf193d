import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import type { httpFallback } from '../../lib/client/http.js';
import type { RealtimeClient } from '../../lib/client/index.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireServer } from '../support/wire/server.js';
import { launchChromium } from './support/chromium.js';
import { bundle, SitePage, startSite } from './support/site.js';

const HTML =
  '<!doctype html><meta charset="utf-8"><title>Page</title><script src="/client.js"></script><script src="/http.js"></script>';
/** Names plain HTTP only, so that no WebSocket may be opened. */
const HTTP_ONLY = { 'content-security-policy': 'connect-src http://127.0.0.1:*' };

declare const globalThis: {
  realtime: { RealtimeClient: typeof RealtimeClient };
  fallback: { httpFallback: typeof httpFallback };
  client: RealtimeClient;
  seen: unknown[];
  attempts: number;
};

let browser: Browser;
let scripts: string[];
let server: WireServer;
let site: SitePage;

beforeAll(async () => {
  [browser, ...scripts] = await Promise.all([
    launchChromium(),
    bundle('lib/client/index.ts', { globalName: 'realtime' }),
    bundle('lib/client/http.ts', { globalName: 'fallback' }),
  ]);
});

afterAll(() => browser?.close());

afterEach(async () => {
  await site.close();
  await server.close();
});

async function open(headers: Record<string, string> = {}): Promise<void> {
  const [client = '', http = ''] = scripts;
  server = await startSite(
    {
      '/': ['text/html', HTML, headers],
      '/client.js': ['text/javascript', client],
      '/http.js': ['text/javascript', http],
    },
    { channels: [wireChannel('rooms.:room', { publish: ['said'] })] },
  );
  site = await SitePage.open(browser, new URL('/', server.httpUrl).href);
}

/** A client of the page in a room, whose events are kept. */
async function enter(transport?: 'sse' | 'polling'): Promise<void> {
  await site.page.evaluate(async (forced) => {
    const fallback = globalThis.fallback.httpFallback(forced === undefined ? {} : { transports: [forced] });
    const client = new globalThis.realtime.RealtimeClient('/realtime', { token: () => 'ada', fallback });
    Object.assign(globalThis, { client, seen: [], attempts: 0 });
    client.on('state', ({ state }) => state === 'connecting' && globalThis.attempts++);
    const room = client.channel('rooms.1');
    room.on('said', (text) => globalThis.seen.push(text));
    await room.subscribe();
  }, transport);
}

const say = (text: string): Promise<unknown> =>
  site.page.evaluate((said) => globalThis.client.channel('rooms.1').publish('said', said), text);
const seen = (): Promise<unknown[]> => site.page.evaluate(() => globalThis.seen);

describe('the fallback in a page', () => {
  it.each(['sse', 'polling'] as const)(
    'speaks over %s with the fetch of the browser (P21)',
    async (transport) => {
      await open();
      await enter(transport);
      for (const text of ['ä€😀', 'two', 'three']) await say(text);
      await until('every event', async () => (await seen()).length === 3);
      expect(await seen()).toEqual(['ä€😀', 'two', 'three']);
      expect(await site.page.evaluate(() => globalThis.client.status)).toEqual({ state: 'live', transport });
      expect(site.problems).toEqual([]);
    },
  );

  it('uses an event stream with the second attempt where the policy of the page forbids WebSockets (P21)', async () => {
    await open(HTTP_ONLY);
    await enter();
    expect(await site.page.evaluate(() => [globalThis.client.status.transport, globalThis.attempts])).toEqual(
      ['sse', 2],
    );
    await say('through');
    await until('the event', async () => (await seen()).length === 1);
  });

  it.each(['sse', 'polling'] as const)(
    'leaves at once when the page closes its client on its way out: %s',
    async (transport) => {
      await open();
      await enter(transport);
      await site.page.evaluate(() => {
        addEventListener('pagehide', () => void globalThis.client.close());
      });
      expect(server.engine.status.sessions).toBe(1);
      await site.page.goto('about:blank');
      await until('the end of the session', () => server.engine.status.sessions === 0);
    },
  );
});
