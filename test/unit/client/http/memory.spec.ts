import { afterEach, describe, expect, it } from '@jest/globals';
import { httpFallback } from '../../../../lib/client/http.js';
import { TransportMemory, type TransportStore } from '../../../../lib/client/http/memory.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { welcoming } from '../fake-socket.js';
import { FallbackHarness, refused } from './harness.js';

const KEY = 'nestjs-realtime.transport';
const HOUR_MS = 3_600_000;

/** A store as `localStorage`. */
class Store implements TransportStore {
  readonly entries = new Map<string, string>();
  constructor(entry?: string) {
    if (entry !== undefined) this.entries.set(KEY, entry);
  }
  getItem(key: string): string | null {
    return this.entries.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.entries.set(key, value);
  }
  removeItem(key: string): void {
    this.entries.delete(key);
  }
  get entry(): string | undefined {
    return this.entries.get(KEY);
  }
}

const inAnHour = (): number => Date.now() + HOUR_MS - 1_000;

let h: FallbackHarness | undefined;
afterEach(() => {
  void h?.client.close();
  h = undefined;
});

describe('the entry of the transport that worked (P21k)', () => {
  const memory = (store: TransportStore, now = 1_000_000): TransportMemory =>
    new TransportMemory(store, () => now);

  it.each([
    ['is taken until its end', '1 sse 1000001 wifi', 'sse'],
    ['is taken of polls, too', '1 polling 4600000 wifi', 'polling'],
    ['is over at its end', '1 sse 1000000 wifi', undefined],
    ['is none that holds for longer than an hour', '1 sse 4600001 wifi', undefined],
    ['is none of another network', '1 sse 1000001 cellular', undefined],
    ['is none of another version', '2 sse 1000001 wifi', undefined],
    ['names no WebSocket', '1 websocket 1000001 wifi', undefined],
    ['has nothing behind it', '1 sse 1000001 wifi x', undefined],
    ['has a number as its end', '1 sse Infinity wifi', undefined],
    ['is not empty', '', undefined],
  ])('%s', (_what, entry, name) => {
    const known = memory(new Store(entry));
    expect(known.read('wifi')).toBe(name);
    // A network that comes back in the same page is another one.
    expect(known.read('wifi')).toBeUndefined();
  });

  it('is written for an hour where another transport works, keeps its end, and goes with a better one', () => {
    const store = new Store();
    const first = memory(store);
    expect(first.read('wifi')).toBeUndefined();
    first.works('polling', false, 'wifi');
    expect(store.entry).toBe('1 polling 4600000 wifi');
    const second = memory(store, 2_000_000);
    expect(second.read('wifi')).toBe('polling');
    second.works('polling', false, 'wifi');
    expect(store.entry).toBe('1 polling 4600000 wifi');
    second.works('sse', false, 'wifi');
    expect(store.entry).toBe('1 sse 5600000 wifi');
    second.works('websocket', true, 'wifi');
    expect(store.entries.size).toBe(0);
  });

  it('of another network stays where the best transport works in this one', () => {
    const store = new Store('1 sse 1000001 cellular');
    const known = memory(store);
    known.read('wifi');
    known.works('websocket', true, 'wifi');
    expect(store.entry).toBe('1 sse 1000001 cellular');
  });

  const broken = (): never => {
    throw new DOMException('denied', 'SecurityError');
  };
  const late = (): never => Promise.reject(new Error('late')) as never;
  it.each([
    ['throws', { getItem: broken, setItem: broken, removeItem: broken }],
    ['is not given', broken],
    ['is none', () => null],
    ['has no methods', {} as TransportStore],
    ['answers late', { getItem: late, setItem: late, removeItem: late }],
    [
      'has an object',
      { getItem: () => ({}) as never, setItem: () => undefined, removeItem: () => undefined },
    ],
  ])('is none in a store that %s', async (_what, store) => {
    const known = new TransportMemory(store);
    expect(known.read('')).toBeUndefined();
    known.works('sse', false, '');
    known.forget();
    await settle();
    expect(known.read('')).toBeUndefined();
  });
});

describe('a page whose last page fell', () => {
  it('begins where that was, and tries the WebSocket in the background', async () => {
    const remember = new Store(`1 sse ${inAnHour()} `);
    h = new FallbackHarness({}, { remember: () => remember });
    void h.client.connect();
    await h.http.stream({ heartbeat: { intervalMs: 36_000_000, timeoutMs: 10_000 } });
    await h.state('live');
    expect([h.client.status.transport, h.sockets.length]).toEqual(['sse', 0]);
    h.plan = welcoming;
    await h.pass(46_000);
    await h.state('live');
    expect(h.client.status.transport).toBe('websocket');
    expect(remember.entry).toBeUndefined();
  });

  it('begins from the top where that does not work any more, at the first failure', async () => {
    const remember = new Store(`1 sse ${inAnHour()} `);
    h = new FallbackHarness({}, { remember });
    void h.client.connect();
    (await h.http.next('sse')).answer(404, 'no');
    await h.state('waiting');
    expect(remember.entry).toBeUndefined();
    h.plan = welcoming;
    await h.again();
    await h.state('live');
    expect(h.client.status.transport).toBe('websocket');
  });

  it('stays there in an outage', async () => {
    const remember = new Store(`1 sse ${inAnHour()} `);
    h = new FallbackHarness({}, { remember });
    h.http.there = 'unreachable';
    void h.client.connect();
    (await h.http.next('sse')).fail();
    await h.again();
    expect(h.http.count('sse')).toBe(2);
    expect(h.sockets).toHaveLength(0);
    expect(remember.entry).toBeDefined();
  });

  it('begins from the top where that transport may not be used', async () => {
    h = new FallbackHarness(
      {},
      { remember: new Store(`1 polling ${inAnHour()} `), transports: ['websocket', 'sse'] },
    );
    h.plan = welcoming;
    await h.client.connect();
    expect(h.client.status.transport).toBe('websocket');
  });

  it('stores what works once it fell itself', async () => {
    const remember = new Store();
    h = new FallbackHarness({}, { remember });
    h.plan = refused;
    void h.client.connect();
    await h.again();
    await h.again();
    expect(remember.entry).toBeUndefined();
    await h.http.stream();
    await h.state('live');
    expect(remember.entry).toMatch(/^1 sse \d{13} $/);
  });

  it('is given a store, or a function', () => {
    expect(() => httpFallback({ remember: 'localStorage' as never })).toThrow('remember');
    expect(httpFallback({ remember: null })).toBeInstanceOf(Function);
  });
});
