import { describe, expect, it } from '@jest/globals';
import { JudgedPublishes } from '../../../../../lib/core/access/spam/judged-publishes.js';
import {
  repeatsAndBursts,
  type RepeatsAndBurstsOptions,
} from '../../../../../lib/core/access/spam/repeats-and-bursts.js';
import { Strikes } from '../../../../../lib/core/access/spam/strikes.js';
import type { SpamContext, SpamVerdict } from '../../../../../lib/core/ports/spam.js';

/** Few rates, so that only repeats count where they are asked for. */
const CALM: RepeatsAndBurstsOptions = {
  burst: { count: 1_000, withinMs: 1 },
  sustained: { count: 1_000, withinMs: 1 },
};

function judgeWith(options: RepeatsAndBurstsOptions = {}) {
  const detector = repeatsAndBursts(options) as ReturnType<typeof repeatsAndBursts> & {
    readonly size: { readonly clients: number; readonly bytes: number };
  };
  const judge = (text: string, ts: number, more: Partial<SpamContext> = {}): SpamVerdict =>
    detector.judge({
      user: { id: 'u1' },
      session: 's1',
      address: '203.0.113.7',
      channel: 'rooms.1',
      pattern: 'rooms.:room',
      event: 'said',
      payload: text,
      ts,
      ...more,
    }) as SpamVerdict;
  return { detector, judge };
}

const TEXT = 'buy cheap followers now, best prices';

describe('limits of the detector', () => {
  it('are exact: the fourth near-equal text within five minutes is too much, and not later', () => {
    const { judge } = judgeWith(CALM);
    expect([0, 100_000, 200_000].map((ts) => judge(TEXT, ts))).toEqual(['allow', 'allow', 'allow']);
    expect(judge(TEXT, 300_000)).toBe('escalate');
    const other = judgeWith(CALM);
    expect([0, 100_000, 200_000, 300_001].map((ts) => other.judge(TEXT, ts))).not.toContain('escalate');
  });

  it('allow short texts more often', () => {
    const { judge } = judgeWith(CALM);
    const found = Array.from({ length: 9 }, (_, index) => judge('ok', index * 1_000));
    expect(found).toEqual([...Array.from({ length: 8 }, () => 'allow'), 'escalate']);
    expect(judge('ok', 60_000)).toBe('allow');
  });

  it('count as many texts as they say, above those that are remembered by default', () => {
    const { judge } = judgeWith({ ...CALM, texts: { count: 30, withinMs: 300_000 } });
    const found = Array.from({ length: 31 }, (_, index) => judge(TEXT, index));
    expect(found.slice(0, 30)).not.toContain('escalate');
    expect(found[30]).toBe('escalate');
    expect(() => repeatsAndBursts({ links: { count: 101, withinMs: 1 } })).toThrow(
      'repeatsAndBursts: links.count must be at most 100',
    );
    expect(() => repeatsAndBursts({ links: { count: 100, withinMs: 1 } })).not.toThrow();
  });

  it.each([
    ['short texts', 'ok', 40],
    ['links', 'https://win.example/a', 25],
  ])('reach the anonymous clients of one address together: %s', (_, text, allowed) => {
    const { judge } = judgeWith(CALM);
    const found = Array.from({ length: allowed + 1 }, (_unused, index) =>
      judge(text, index, { user: undefined, session: `s${index}` }),
    );
    expect(found.slice(0, allowed)).toEqual(Array(allowed).fill('allow'));
    expect(found[allowed]).toBe('refuse');
  });

  it('make no strike of somebody whose address alone exceeds them, by repeats or by rate', () => {
    const { judge } = judgeWith();
    const say = (session: string, text: string, ts = 0): SpamVerdict =>
      judge(text, ts, { user: undefined, session });
    for (let sender = 0; sender < 5; sender++)
      for (let index = 0; index < 10; index++) say(`s${sender}`, `${'xyzuv'[sender]} ${'abcdefghij'[index]}`);
    expect(say('bystander', 'good morning to all of you')).toBe('refuse');
    expect(say('s0', 'one more of my own')).toBe('escalate');
    expect(say('bystander', 'good morning to all of you', 60_000)).toBe('allow');
  });

  it.each([
    ['publishes', (index: number) => `${'abcdefghij'[index % 10]}${index}`, {}],
    ['near-equal texts', () => TEXT, CALM],
  ])('are not used up for an address by one of its sessions: %s', (_, text, options) => {
    const { judge } = judgeWith(options);
    const say = (session: string, words: string): SpamVerdict =>
      judge(words, 0, { user: undefined, session });
    const found = Array.from({ length: 500 }, (_unused, index) => say('flooding', text(index)));
    expect(found.at(-1)).toBe('escalate');
    expect(found).not.toContain('refuse');
    expect(say('bystander', text(0))).toBe('allow');
  });

  it('do not have the text read of what comes above a rate', () => {
    const read: unknown[] = [];
    const { judge } = judgeWith({
      burst: { count: 2, withinMs: 1_000 },
      textOf: ({ payload }) => String(read.push(payload)),
    });
    const found = ['a', 'b', 'c', 'd'].map((text) => judge(text, 0));
    expect(found).toEqual(['allow', 'allow', 'escalate', 'escalate']);
    expect(read).toEqual(['a', 'b']);
  });

  it('allow five links to one host in a minute, whatever their paths', () => {
    const { judge } = judgeWith(CALM);
    const found = Array.from({ length: 6 }, (_, index) =>
      judge(`https://win.example/${index * 7919}`, index),
    );
    expect(found.slice(0, 5)).not.toContain('escalate');
    expect(found[5]).toBe('escalate');
  });

  it('allow ten publishes at once, and one more in each second', () => {
    const { judge } = judgeWith();
    const letters = 'abcdefghijklmnopqrstuvwxyz';
    const say = (index: number, ts: number): SpamVerdict =>
      judge(`${(letters[index] ?? 'z').repeat(2)}q${letters[25 - index]}`, ts);
    const found = Array.from({ length: 11 }, (_, index) => say(index, 0));
    expect(found).toEqual([...Array.from({ length: 10 }, () => 'allow'), 'escalate']);
    expect(say(11, 999)).toBe('escalate');
    expect(say(12, 1_000)).toBe('allow');
    expect(say(13, 1_000)).toBe('escalate');
  });

  it('count publishes without a text as publishes', () => {
    const { judge } = judgeWith({ burst: { count: 2, withinMs: 1_000 } });
    const found = [0, 0, 0].map((ts) => judge('', ts, { payload: { x: 1, y: 2 } }));
    expect(found).toEqual(['allow', 'allow', 'escalate']);
  });

  it('are those of the options', () => {
    const { judge } = judgeWith({ ...CALM, texts: { count: 1, withinMs: 10 }, textOf: () => TEXT });
    expect([judge('a', 0), judge('b', 10), judge('c', 21)]).toEqual(['allow', 'escalate', 'allow']);
  });

  it.each([
    [{ texts: { count: 0, withinMs: 1 } }, /texts\.count/],
    [{ burst: { count: 1, withinMs: -1 } }, /burst\.withinMs/],
    [{ maxClients: 0 }, /maxClients/],
    [{ maxBytes: Number.NaN }, /maxBytes/],
  ])('are numbers above 0: %#', (options, message) => {
    expect(() => repeatsAndBursts(options)).toThrow(message);
  });
});

describe('whom the detector counts', () => {
  it('counts a user over channels and sessions, and no two users together', () => {
    const { judge } = judgeWith(CALM);
    const found = ['a', 'b', 'c', 'd'].map((name) =>
      judge(TEXT, 0, { channel: `rooms.${name}`, session: name }),
    );
    expect(found).toEqual(['allow', 'allow', 'allow', 'escalate']);
    expect(judge(TEXT, 0, { user: { id: 'u2' } })).toBe('allow');
  });

  it('counts anonymous clients by their sessions, and five times as much by their address', () => {
    const { judge } = judgeWith(CALM);
    const say = (session: string, address = '203.0.113.7'): SpamVerdict =>
      judge(TEXT, 0, { user: undefined, session, address });
    expect(['a', 'a', 'a', 'a'].map((session) => say(session))).toEqual([
      'allow',
      'allow',
      'allow',
      'escalate',
    ]);
    // Fifteen of the address in all, without what was too much of a session; each of these sessions says it once.
    const others = Array.from({ length: 13 }, (_, index) => say(`b${index}`));
    expect(others).toEqual([...Array<string>(12).fill('allow'), 'refuse']);
    expect(say('c', '203.0.113.8')).toBe('allow');
  });

  it('does not take an anonymous session for a user of the same name', () => {
    const { judge } = judgeWith(CALM);
    for (let index = 0; index < 3; index++) judge(TEXT, 0, { user: { id: 's1' } });
    expect(judge(TEXT, 0, { user: undefined, session: 's1' })).toBe('allow');
  });

  it('forgets those that were not there for longest, in count and in bytes', () => {
    const few = judgeWith({ ...CALM, maxClients: 10 });
    for (let index = 0; index < 50; index++) few.judge(TEXT, 0, { user: { id: `v${index}` } });
    expect(few.detector.size.clients).toBe(10);
    const small = judgeWith({ ...CALM, maxBytes: 20_000 });
    for (let index = 0; index < 3; index++) small.judge(TEXT, 0);
    for (let index = 0; index < 300; index++) {
      small.judge(`${index}${TEXT}`, index, { user: { id: `v${index % 5}` } });
      expect(small.detector.size.bytes).toBeLessThanOrEqual(20_000 + 8_000);
    }
    small.judge('x'.repeat(60_000), 0, { user: { id: 'w'.repeat(255) } });
    expect(small.detector.size.bytes).toBeLessThan(28_000);
    for (let index = 0; index < 200; index++) small.judge(TEXT, 0, { user: { id: `y${index}` } });
    expect(small.judge(TEXT, 0)).toBe('allow');
  });

  it('counts bytes for what is there, and for nothing that is gone', () => {
    const { judge, detector } = judgeWith({ ...CALM, maxBytes: 100_000 });
    for (let index = 0; index < 200; index++) judge(TEXT, index, { user: { id: `v${index}` } });
    const before = detector.size;
    for (let index = 0; index < 5_000; index++) judge(TEXT, index, { user: { id: `v${index % 1_000}` } });
    expect(detector.size.clients).toBeGreaterThan(before.clients * 0.9);
    const one = judgeWith(CALM);
    for (let index = 0; index < 1_000; index++)
      one.judge(`${'abcdefghij'[index % 10]} ${TEXT} ${index}`, index);
    expect(one.detector.size.bytes).toBeLessThan(10_000);
  });

  it('keeps the one that is used while others come', () => {
    const { judge } = judgeWith({ ...CALM, maxClients: 10 });
    const found: SpamVerdict[] = [];
    for (let index = 0; index < 40; index++) {
      if (index % 8 === 0) found.push(judge(TEXT, 0));
      judge(TEXT, 0, { user: { id: `v${index}` } });
    }
    expect(found.slice(3)).toEqual(['escalate', 'escalate']);
  });
});

describe('what is remembered of clients and publishes', () => {
  it('is bounded: strikes of the oldest are forgotten', () => {
    const strikes = new Strikes(60_000, 10);
    for (let index = 0; index < 30; index++) strikes.add(`u${index}`, 0);
    expect(strikes.size).toBe(10);
    expect(strikes.count('u0', 0)).toBe(0);
    expect(strikes.count('u29', 0)).toBe(1);
  });

  it('is never fewer strikes for what another node knows less of', () => {
    const strikes = new Strikes(60_000);
    strikes.learn('u1', 3, 0);
    strikes.learn('u1', 1, 0);
    expect(strikes.count('u1', 0)).toBe(3);
    expect(strikes.add('u1', 3_000)).toBe(4);
    expect(strikes.count('u1', 63_000)).toBe(3);
    expect(strikes.count('u1', 10_000_000)).toBe(0);
  });

  it('is a publish by all of its name, as long as its id names it', () => {
    const judged = new JudgedPublishes(2);
    const name = { producer: 'u:1', channel: 'rooms.1', id: 'a' };
    judged.add(name, 'f', 100);
    expect(judged.has(name, 'f', 99)).toBe(true);
    expect(judged.has(name, 'f', 100)).toBe(false);
    expect(judged.has(name, 'g', 0)).toBe(false);
    for (const other of [{ producer: 'u:2' }, { channel: 'rooms.2' }, { id: 'b' }])
      expect(judged.has({ ...name, ...other }, 'f', 0)).toBe(false);
    judged.add({ ...name, id: 'b' }, 'f', 100);
    judged.add({ ...name, id: 'c' }, 'f', 100);
    expect(judged.size).toBe(2);
    expect(judged.has(name, 'f', 0)).toBe(false);
  });
});
