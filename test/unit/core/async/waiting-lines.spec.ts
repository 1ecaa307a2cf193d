import { beforeEach, describe, expect, it } from '@jest/globals';
import { WaitingLines } from '../../../../lib/core/async/waiting-lines.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const KB = 1_024;

describe('lines of what waits', () => {
  let clock: ManualClock;
  let lines: WaitingLines;
  let ended: string[];
  let log: string[];

  function make(maxBytes = 1_024 * KB, maxWaitMs = 1_000): void {
    clock = new ManualClock();
    ended = [];
    log = [];
    lines = new WaitingLines({ clock, maxBytes, maxWaitMs, onLineEnd: (key) => ended.push(key) });
  }

  beforeEach(() => make());

  /** Names are a key and a number: `a1`. */
  function join(...names: string[]): object[] {
    return names.map((name) => {
      const owner = { name };
      const turn = lines.join(name.slice(0, 1), owner, 0);
      if (turn === undefined) log.push(`${name} no room`);
      else void turn.then((end) => log.push(`${name} ${end}`));
      return owner;
    });
  }

  async function logged(): Promise<string[]> {
    await settle();
    return log.splice(0);
  }

  it('serve each key in the order in which they came', async () => {
    join('a1', 'b1', 'a2', 'a3');
    expect(lines.lengthOf('a')).toBe(3);
    for (const key of ['a', 'a', 'b', 'a']) expect(lines.serve(key)).toBe(true);
    expect(await logged()).toEqual(['a1 served', 'a2 served', 'b1 served', 'a3 served']);
    expect(lines.serve('a')).toBe(false);
    expect(ended).toEqual(['b', 'a']);
    expect(lines.bytes).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['the first', 0],
    ['one between', 1],
    ['the last', 2],
  ])('who leaves is left out, and the others keep their order: %s', async (_, leaver) => {
    const owners = join('a1', 'a2', 'a3');
    lines.leave(owners[leaver] as object);
    lines.leave(owners[leaver] as object);
    join('a4');
    while (lines.serve('a'));
    const names = ['a1', 'a2', 'a3', 'a4'].filter((_, index) => index !== leaver);
    expect(await logged()).toEqual([`a${leaver + 1} left`, ...names.map((name) => `${name} served`)]);
    expect(lines.bytes).toBe(0);
  });

  it('a line ends with its only one, and begins again', async () => {
    for (let round = 0; round < 2; round++) {
      const [owner] = join('a1');
      lines.leave(owner as object);
      expect(lines.lengthOf('a')).toBe(0);
    }
    expect(ended).toEqual(['a', 'a']);
    expect(await logged()).toEqual(['a1 left', 'a1 left']);
    expect(clock.pending).toBe(0);
  });

  it('nobody waits longer than the bound', async () => {
    join('a1');
    clock.advance(400);
    join('a2', 'b1');
    clock.advance(599);
    expect(await logged()).toEqual([]);
    clock.advance(1);
    expect(await logged()).toEqual(['a1 refused']);
    clock.advance(400);
    expect(await logged()).toEqual(['a2 refused', 'b1 refused']);
    expect(clock.pending).toBe(0);
    join('a3');
    clock.advance(999);
    expect(await logged()).toEqual([]);
    clock.advance(1);
    expect(await logged()).toEqual(['a3 refused']);
  });

  it('without a time to wait there is no room', async () => {
    make(1_024 * KB, 0);
    join('a1');
    expect(await logged()).toEqual(['a1 no room']);
  });

  it('may fill the bound exactly, and no more of one line', async () => {
    make(32 * KB);
    join('a1', 'a2', 'a3', 'a4', 'a5');
    expect(lines.bytes).toBe(32 * KB);
    expect(await logged()).toEqual(['a5 no room']);
  });

  it('what waits counts with its bytes', async () => {
    make(32 * KB);
    expect(lines.join('a', {}, 24 * KB)).toBeDefined();
    expect(lines.join('a', {}, 1)).toBeUndefined();
    expect(lines.join('b', {}, 25 * KB)).toBeUndefined();
    expect(lines.lengthOf('a')).toBe(1);
    expect(lines.bytes).toBe(32 * KB);
  });

  it('the last of a much longer line makes room for a short one', async () => {
    make(32 * KB);
    join('a1', 'a2', 'a3', 'a4', 'b1');
    expect(await logged()).toEqual(['a4 refused']);
    // Three are not twice as many as two would be.
    join('b2');
    expect(await logged()).toEqual(['b2 no room']);
    join('c1', 'd1');
    expect(await logged()).toEqual(['a3 refused', 'a2 refused']);
    join('e1', 'a5');
    expect(await logged()).toEqual(['e1 no room', 'a5 no room']);
    while (lines.serve('a') || lines.serve('b') || lines.serve('c') || lines.serve('d'));
    expect(lines.bytes).toBe(0);
  });
});
