import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { redisSink, type AuditEntry, type AuditSink, type RedisSinkOptions } from '../../lib/audit/index.js';
import { RedisKit } from './kit.js';

describe('the audit sink in Redis', () => {
  let kit: RedisKit;
  const sinks: AuditSink[] = [];

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(async () => {
    for (const sink of sinks.splice(0)) await sink.close?.();
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  function make(options: Partial<RedisSinkOptions> = {}): Required<AuditSink> {
    const target = options.client === undefined ? { url: kit.server.url } : {};
    const sink = redisSink({ ...target, ...options }) as Required<AuditSink>;
    sinks.push(sink);
    return sink;
  }

  function entryOf(index: number, act = index % 2 === 0 ? 'ban' : 'mute'): AuditEntry {
    return { id: `e${index}`, ts: index, node: 'n1', act, by: 'a', result: 'applied' };
  }

  /** Ids of all pages. */
  async function listed(sink: Required<AuditSink>, limit: number, act?: string): Promise<string[][]> {
    const pages: string[][] = [];
    for (let cursor: string | undefined; ;) {
      const page = await sink.read({ act, cursor, limit });
      pages.push(page.entries.map(({ id }) => id));
      if ((cursor = page.more) === undefined) return pages;
    }
  }

  it('lists what all nodes wrote, newest first, in pages without overlap', async () => {
    const [one, other] = [make(), make({ client: kit.admin })];
    for (let index = 0; index < 5; index++) await (index % 2 === 0 ? one : other).write(entryOf(index));
    expect(await listed(other, 2)).toEqual([['e4', 'e3'], ['e2', 'e1'], ['e0']]);
    expect((await one.read({ limit: 1 })).entries).toEqual([entryOf(4)]);
    expect(await listed(one, 10, 'ban')).toEqual([['e4', 'e2', 'e0']]);
    expect(await one.read({ limit: 10, cursor: 'of another sink' })).toEqual({ entries: [] });
  });

  it('reads on beyond one answer of Redis, and has an entry that came twice once', async () => {
    const sink = make();
    for (let index = 0; index < 450; index++) await sink.write(entryOf(index));
    await sink.write(entryOf(449));
    const pages = await listed(sink, 1_000);
    expect(pages.flat()).toEqual(Array.from({ length: 450 }, (_, index) => `e${449 - index}`));
    expect((await listed(sink, 1_000, 'ban')).flat()).toHaveLength(225);
  });

  it('leaves out what another program wrote to its stream', async () => {
    const sink = make({ key: 'k' });
    await kit.admin.xadd('k', '*', 'x', 'y');
    await kit.admin.xadd('k', '*', 'e', '{');
    await sink.write(entryOf(1));
    expect(await listed(sink, 10)).toEqual([['e1']]);
  });

  it('keeps the newest within its count and its bytes', async () => {
    const few = make({ key: 'few', entries: 100 });
    for (let index = 0; index < 600; index++) await few.write(entryOf(index));
    const length = await kit.admin.xlen('few');
    expect(length).toBeGreaterThanOrEqual(100);
    expect(length).toBeLessThan(350);
    const small = make({ key: 'small', bytes: 20_000 });
    for (let index = 0; index < 1_025; index++) await small.write(entryOf(index));
    expect(await kit.admin.memory('USAGE', 'small', 'SAMPLES', 0)).toBeLessThan(40_000);
    expect((await small.read({ limit: 1 })).entries[0]?.id).toBe('e1024');
  });

  it('fails while Redis is away, writes again afterwards, and leaves the client of the application open', async () => {
    const away = make({ url: 'redis://:hunter2@127.0.0.1:1' });
    const error: unknown = await Promise.resolve(away.write(entryOf(1))).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(String((error as Error).message)).not.toContain('hunter2');
    const own = make({ client: kit.admin });
    await own.write(entryOf(1));
    await own.close();
    expect(await kit.admin.ping()).toBe('PONG');
    const made = make();
    await made.write(entryOf(2));
    await made.close();
    await expect(Promise.resolve(made.write(entryOf(3)))).rejects.toThrow();
  });

  it('refuses options that contradict one another', () => {
    expect(() => redisSink({})).toThrow(/either url or client/);
    expect(() => redisSink({ url: 'redis://h', client: kit.admin })).toThrow(/either url or client/);
    expect(() => redisSink({ url: 'redis://h', entries: 0 })).toThrow(/entries/);
    expect(() => redisSink({ url: 'redis://h', bytes: 1.5 })).toThrow(/bytes/);
  });
});
