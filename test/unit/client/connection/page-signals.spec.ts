import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import { until } from '../../../support/wire/scripted-server.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { fakeSockets } from '../fake-socket.js';
import { is, restoreGlobals, setGlobals } from '../globals.js';
import { Harness } from '../harness.js';

/** An event target that tells how many listen. */
class Target {
  readonly listeners = new Map<string, Set<(event: unknown) => void>>();

  addEventListener(name: string, listener: (event: unknown) => void): void {
    this.listeners.set(name, (this.listeners.get(name) ?? new Set()).add(listener));
  }

  removeEventListener(name: string, listener: (event: unknown) => void): void {
    this.listeners.get(name)?.delete(listener);
  }

  get count(): number {
    return [...this.listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  fire(name: string, event: unknown = {}): void {
    for (const listener of this.listeners.get(name) ?? []) listener(event);
  }
}

const page = { window: new Target(), document: Object.assign(new Target(), { visibilityState: 'visible' }) };
let network = Object.assign(new Target(), { type: 'wifi', effectiveType: '4g' });
let harness: Harness | undefined;

beforeEach(() => {
  page.window = new Target();
  page.document = Object.assign(new Target(), { visibilityState: 'visible' });
  network = Object.assign(new Target(), { type: 'wifi', effectiveType: '4g' });
  const { window } = page;
  setGlobals({
    addEventListener: is((name: string, listener: () => void) => window.addEventListener(name, listener)),
    removeEventListener: is((name: string, listener: () => void) =>
      window.removeEventListener(name, listener),
    ),
    document: is(page.document),
    navigator: is({ connection: network }),
  });
});

afterEach(async () => {
  await harness?.stop();
  restoreGlobals();
});

const start = async (options?: RealtimeClientOptions): Promise<Harness> =>
  (harness = await Harness.start(options));

/** Whatever says that the page is in use, or that its network may be another one. */
const BACK: [string, () => void][] = [
  ['online', () => page.window.fire('online')],
  ['pageshow out of the cache', () => page.window.fire('pageshow', { persisted: true })],
  ['visibilitychange', () => page.document.fire('visibilitychange')],
  ['resume', () => page.document.fire('resume')],
  [
    'another type of network',
    () => {
      network.type = 'cellular';
      network.fire('change');
    },
  ],
  [
    'another speed of network',
    () => {
      network.effectiveType = '2g';
      network.fire('change');
    },
  ],
];

/** What says nothing. */
const NOTHING: [string, () => void][] = [
  ['the page’s first pageshow', () => page.window.fire('pageshow', { persisted: false })],
  [
    'a page that is hidden',
    () => {
      page.document.visibilityState = 'hidden';
      page.document.fire('visibilitychange');
    },
  ],
  ['a new estimate of the same network', () => network.fire('change')],
];

describe('a live connection', () => {
  it.each([['offline', () => page.window.fire('offline')] as (typeof BACK)[number], ...BACK])(
    'has two seconds to answer, then the client comes back at once: %s (P9a)',
    async (_, fire) => {
      const h = await start();
      const connection = await h.live();
      fire();
      await connection.expectCommand('ping');
      h.clock.advance(1_999);
      expect(h.client.state).toBe('live');
      h.clock.advance(1);
      expect(h.states.slice(-2)).toMatchObject([
        { state: 'waiting', delayMs: 0, attempt: 1 },
        { state: 'connecting', attempt: 2 },
      ]);
      await (await h.server.accept()).welcome();
      await h.state('live');
    },
  );

  it('stays when it answers, is asked again the second time, and then ends all the same', async () => {
    const h = await start();
    const connection = await h.live();
    for (let time = 0; time < 2; time++) {
      page.window.fire('online');
      page.document.fire('resume');
      const ping = await connection.expectCommand('ping');
      connection.send({ type: 'pong', ref: ping.id });
      await connection.sync();
      // One ping, however many signals.
      expect(connection.unread).toEqual([]);
      h.clock.advance(10_000);
      expect(h.client.state).toBe('live');
    }
    page.window.fire('online');
    h.clock.advance(2_000);
    expect(h.client.state).toBe('connecting');
  });

  it('that the server announced to end is not come back from before the time it said (P19f)', async () => {
    const h = await start();
    const connection = await h.live();
    connection.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 4_000, spreadMs: 600 } });
    await connection.sync();
    page.window.fire('online');
    h.clock.advance(2_000);
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 4_300 });
    page.window.fire('online');
    expect(h.client.state).toBe('waiting');
  });

  it.each(NOTHING)('is not asked for %s', async (_, fire) => {
    const h = await start();
    const connection = await h.live();
    fire();
    await connection.sync();
    expect(connection.unread).toEqual([]);
  });
});

describe('a wait', () => {
  it.each(BACK)('ends at once: %s (P19)', async (_, fire) => {
    const h = await start();
    (await h.live()).terminate();
    await h.state('waiting');
    fire();
    expect(h.client.state).toBe('connecting');
    await (await h.server.accept()).welcome();
    await h.state('live');
  });

  it('does not end by `offline`, or by what says nothing', async () => {
    const h = await start();
    (await h.live()).terminate();
    await h.state('waiting');
    page.window.fire('offline');
    for (const [, fire] of NOTHING) fire();
    expect(h.client.state).toBe('waiting');
  });

  it('that the server asked for is not shortened, the next one is (P19)', async () => {
    const h = await start();
    const connection = await h.live();
    connection.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 300, spreadMs: 8_000 } });
    connection.close(4001, 'drain|300');
    await h.state('waiting');
    page.window.fire('online');
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 4_300 });
    (await h.back()).terminate();
    await h.state('waiting');
    page.window.fire('online');
    expect(h.client.state).toBe('connecting');
  });
});

describe('an attempt to connect', () => {
  it('has two seconds to be welcomed, then another one is made at once', async () => {
    const h = await start();
    void h.client.connect().catch(() => undefined);
    const old = await h.server.accept();
    await old.expectCommand('hello');
    h.clock.advance(1_000);
    page.window.fire('online');
    // Not prolonged by the next signals.
    h.clock.advance(1_500);
    page.window.fire('online');
    h.clock.advance(499);
    expect(h.client.state).toBe('connecting');
    h.clock.advance(1);
    expect(h.states.slice(-2)).toMatchObject([{ state: 'waiting', delayMs: 0 }, { state: 'connecting' }]);
    await until(() => old.ended !== undefined, 'the old attempt to end');
    await (await h.server.accept()).welcome();
    await h.state('live');
  });

  it('that never opened is followed by another one, without asking why', async () => {
    const { webSocket, made } = fakeSockets();
    let asked = 0;
    const fetch = (): Promise<never> => {
      asked++;
      return new Promise(() => undefined);
    };
    const h = await start({ webSocket, fetch });
    void h.client.connect().catch(() => undefined);
    page.window.fire('online');
    h.clock.advance(2_000);
    expect([made.length, asked]).toEqual([2, 0]);
  });

  it('that was about to end by its own time-out is not prolonged', async () => {
    const h = await start();
    void h.client.connect().catch(() => undefined);
    await (await h.server.accept()).expectCommand('hello');
    h.clock.advance(9_500);
    page.window.fire('online');
    h.clock.advance(499);
    expect(h.client.state).toBe('connecting');
    h.clock.advance(1);
    expect(h.client.state).toBe('waiting');
    expect(h.client.status.delayMs).toBeGreaterThan(0);
  });

  it('does not wait for the answer why the last one failed', async () => {
    const { webSocket, made } = fakeSockets((socket) => socket.fire('close', { code: 1006 }));
    let asked = 0;
    const fetch = (_: string, { signal }: { signal: AbortSignal }): Promise<never> => {
      asked++;
      return new Promise((__, reject) => signal.addEventListener('abort', () => reject(new Error('gone'))));
    };
    const h = await start({ webSocket, fetch });
    void h.client.connect().catch(() => undefined);
    await settle();
    expect([asked, h.client.state]).toEqual([1, 'connecting']);
    page.window.fire('online');
    await settle();
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 0 });
    h.clock.advance(0);
    await settle();
    expect(made).toHaveLength(2);
    // Once: the next one waits as ever.
    h.clock.advance(10_000);
    await settle();
    expect(h.client.status.delayMs).toBeGreaterThan(0);
  });
});

describe('the listeners', () => {
  it('are there while the client is in use, and none twice', async () => {
    const h = await start();
    const count = (): number => page.window.count + page.document.count + network.count;
    expect(count()).toBe(0);
    await h.live();
    const inUse = count();
    expect(inUse).toBe(6);
    void h.client.close();
    expect(count()).toBe(0);
    const connection = await h.live();
    expect(count()).toBe(inUse);
    connection.close(4811, 'kicked');
    await h.state('closed');
    expect(count()).toBe(0);
  });

  it('are not added with `network: false`', async () => {
    const h = await start({ network: false });
    const connection = await h.live();
    expect(page.window.count + page.document.count + network.count).toBe(0);
    page.window.fire('online');
    await connection.sync();
    expect(connection.unread).toEqual([]);
  });
});
