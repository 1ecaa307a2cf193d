import { describe, expect, it } from '@jest/globals';
import type { LogRecord, OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import { MemoryLogServer, type AppendFate } from '../../support/ordered-log/memory-server.js';

describe('the ordered log in memory, for tests', () => {
  it.each<[AppendFate, string, readonly string[]]>([
    ['stored', 'acknowledged', ['x']],
    ['refused', 'refused', []],
    ['lost', 'unknown', []],
    ['unanswered', 'unknown', ['x']],
    ['late', 'unknown', ['x']],
    ['doubled', 'acknowledged', ['x', 'x']],
  ])('appends with the fate "%s": %s, and stores %j in the end', async (fate, outcome, stored) => {
    const server = new MemoryLogServer({ clock: new ManualClock() });
    const log = server.open();
    server.nextAppends(fate);
    expect(await append(log, 'x')).toBe(outcome);
    server.storeLate();
    expect(texts(server)).toEqual(stored);
  });

  it('stores what is late behind what was appended after it, sooner or later', async () => {
    const server = new MemoryLogServer({ clock: new ManualClock(), seed: 5 });
    const log = server.open();
    server.nextAppends('late', 'doubled');
    await append(log, 'late');
    await append(log, 'double');
    for (let n = 0; n < 20; n++) await append(log, `n${n}`);
    const stored = texts(server);
    expect(stored.slice(0, 1)).toEqual(['double']);
    expect(stored.indexOf('late')).toBeGreaterThan(0);
    expect(stored.filter((text) => text === 'double')).toHaveLength(2);
    expect(stored).toHaveLength(23);
  });

  it('has the same weather for the same seed, and another one for another seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const server = new MemoryLogServer({ clock: new ManualClock(), seed });
      server.setWeather({ refused: 0.2, lost: 0.1, unanswered: 0.1, late: 0.2, doubled: 0.1 });
      const log = server.open();
      const outcomes: string[] = [];
      for (let n = 0; n < 60; n++) outcomes.push(await append(log, `n${n}`));
      return [...outcomes, ...texts(server)].join(' ');
    };
    const first = await run(1);
    expect(await run(1)).toBe(first);
    expect(await run(2)).not.toBe(first);
    for (const outcome of ['acknowledged', 'refused', 'unknown']) expect(first).toContain(outcome);
  });

  it('gives readers the records in batches of any size, each after a delay', async () => {
    const clock = new ManualClock();
    const server = new MemoryLogServer({ clock, seed: 2 });
    const log = server.open();
    for (let n = 0; n < 50; n++) await append(log, `n${n}`);
    server.delay = [5, 20];
    const batches: LogRecord[][] = [];
    const { first, incarnation } = server.partition(0)?.bounds() ?? never();
    log.consume(
      0,
      { incarnation, offset: first, term: 0 },
      {
        onRecords: (records) => void batches.push([...records]),
        onEnd: never,
      },
    );
    await settle();
    expect(batches).toEqual([]);
    for (let n = 0; n < 60; n++) await clock.advanceAsync(20);
    expect(batches.flat().map(({ offset }) => offset)).toEqual(Array.from({ length: 50 }, (_, n) => n));
    expect(new Set(batches.map(({ length }) => length)).size).toBeGreaterThan(2);
  });

  it('stamps records with a clock that jumps, forth and back', async () => {
    const clock = new ManualClock();
    const server = new MemoryLogServer({ clock });
    const log = server.open();
    await append(log, 'a');
    server.jumpClock(60_000);
    await append(log, 'b');
    server.jumpClock(-120_000);
    await append(log, 'c');
    const now = clock.now();
    expect(server.partition(0)?.records.map(({ timeMs }) => timeMs - now)).toEqual([0, 60_000, -60_000]);
  });

  it('ascends terms with each leader, and stays at 0 where the readers look for cuts', async () => {
    for (const detectsCuts of ['log', 'readers'] as const) {
      const server = new MemoryLogServer({ clock: new ManualClock(), detectsCuts });
      const log = server.open();
      await append(log, 'a');
      server.changeTerm(0);
      await append(log, 'b');
      const terms = server.partition(0)?.records.map(({ term }) => term);
      expect(terms).toEqual(detectsCuts === 'log' ? [1, 2] : [0, 0]);
    }
  });

  it('fails what is in flight when a client loses its connection, and begins another session', async () => {
    const server = new MemoryLogServer({ clock: new ManualClock() });
    const log = server.open();
    const outcome = append(log, 'a');
    log.disconnect();
    expect(await outcome).toBe('unknown');
    expect(await append(log, 'b')).toBe('refused');
    log.reconnect();
    expect(log.session).toBe(2);
    expect(await append(log, 'c')).toBe('acknowledged');
    expect(texts(server)).toEqual(['a', 'c']);
  });

  it('does what it was asked while it stood still once it moves again', async () => {
    const clock = new ManualClock();
    const server = new MemoryLogServer({ clock, requestTimeoutMs: 500 });
    const log = server.open();
    server.pause();
    const outcome = append(log, 'a');
    await clock.advanceAsync(499);
    expect(texts(server)).toEqual([]);
    await clock.advanceAsync(1);
    expect(await outcome).toBe('unknown');
    server.resume();
    expect(texts(server)).toEqual(['a']);
  });

  it('loses its newest checkpoint on demand', async () => {
    const server = new MemoryLogServer({ clock: new ManualClock() });
    const log = server.open();
    for (const offset of [1, 2])
      await log.saveCheckpoint(0, {
        incarnation: 'life',
        offset,
        about: Buffer.of(),
        bytes: Buffer.of(offset),
      });
    server.damageCheckpoint(0);
    expect((await log.loadCheckpoint(0))?.offset).toBe(1);
  });
});

function append(log: OrderedLog, text: string): Promise<string> {
  return log.append(0, Buffer.from(text), log.session).then(
    () => 'acknowledged',
    (error: { outcome: string }) => error.outcome,
  );
}

function texts(server: MemoryLogServer): string[] {
  return server.partition(0)?.records.map(({ bytes }) => Buffer.from(bytes).toString()) ?? [];
}

function never(): never {
  throw new Error('not expected');
}
