import { beforeEach, describe, expect, it } from '@jest/globals';
import { Turns, type TurnClient } from '../../../../lib/core/async/turns.js';

let now: number;
let turns: Turns;
let done: string[];
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const owner = (client: string, isClosed = false): TurnClient => ({ client, isClosed });
/** Adds work that takes so long. */
function add(client: string, name: string, ms = 8, isRead = false): boolean {
  // What an earlier test left behind counts for nothing here.
  const list = done;
  return turns.add({
    owner: owner(client),
    isRead,
    onTurn: () => {
      if (list === done) now += ms;
      list.push(name);
    },
  });
}

async function turnsUntil(count: number): Promise<number> {
  for (let turn = 0; turn < 100_000; turn++) {
    if (done.length >= count) return turn;
    await nextTurn();
  }
  throw new Error(`${done.length} of ${count} are done`);
}

beforeEach(() => {
  now = 1_000;
  done = [];
  turns = new Turns({ now: () => 0, monotonic: () => now, schedule: () => ({ cancel: () => undefined }) });
});

describe('work that is spread over turns of the event loop (G16)', () => {
  it('does not wait while little of it comes', () => {
    for (let index = 0; index < 1_000; index++) expect(turns.isOver(false)).toBe(false);
    now += 3.9;
    expect(turns.isOver(false)).toBe(false);
    expect(turns.turn(owner('a'), false)).toBeUndefined();
  });

  it('goes by the time that was read for the work, where it is given', () => {
    expect(turns.isOver(false, 990)).toBe(false);
    expect(turns.isOver(false, 993.9)).toBe(false);
    expect(turns.isOver(false, 994)).toBe(true);
    expect(turns.isOver(false)).toBe(true);
  });

  it('waits once the turn was long enough, in its order, as much in each turn as there is time for', async () => {
    expect(turns.isOver(false)).toBe(false);
    now += 4;
    expect(turns.isOver(false)).toBe(true);
    for (const name of ['1', '2', '3', '4']) add('a', name, 1);
    expect(done).toEqual([]);
    await nextTurn();
    expect(done).toEqual(['1', '2']);
    await nextTurn();
    expect(done).toEqual(['1', '2', '3', '4']);
  });

  it('counts what a piece causes at once for its turn', async () => {
    turns.add({
      owner: owner('a'),
      isRead: false,
      onTurn: () => void Promise.resolve().then(() => Promise.resolve().then(() => (now += 8))),
    });
    add('a', 'next', 0);
    await nextTurn();
    expect(done).toEqual([]);
    await nextTurn();
    expect(done).toEqual(['next']);
  });

  it('what pieces hand on is handed on together, once the turn of those that waited ends', async () => {
    const handOn = (name: string, ms: number): void => {
      const onTurn = (): void => {
        done.push(name);
        turns.afterwards(() => done.push(`after ${name}`));
        now += ms;
      };
      turns.add({ owner: owner('a'), isRead: false, onTurn });
    };
    for (const name of ['1', '2', '3']) handOn(name, 1);
    await nextTurn();
    expect(done).toEqual(['1', '2', 'after 1', 'after 2']);
    await nextTurn();
    expect(done.slice(4)).toEqual(['3', 'after 3']);
  });

  it('what is handed on outside of such a turn is handed on at the end of the task', async () => {
    turns.afterwards(() => done.push('after'));
    done.push('now');
    await Promise.resolve();
    expect(done).toEqual(['now', 'after']);
    add('a', 'waited', 8);
    await turnsUntil(3);
    await nextTurn();
    turns.afterwards(() => done.push('after again'));
    await Promise.resolve();
    expect(done.at(-1)).toBe('after again');
  });

  it('is counted from zero in the next turn', async () => {
    expect(turns.isOver(false)).toBe(false);
    now += 100;
    await nextTurn();
    await nextTurn();
    expect(turns.isOver(false)).toBe(false);
  });

  it('does not overtake what waits', async () => {
    add('a', 'first');
    expect(turns.isOver(false)).toBe(true);
    await turnsUntil(1);
    await nextTurn();
    expect(turns.isOver(false)).toBe(false);
  });

  it('a client that floods waits behind itself: another one has its turn next', async () => {
    for (let index = 0; index < 1_000; index++) add('flood', `flood ${index}`);
    add('ada', 'ada 1');
    add('ada', 'ada 2');
    add('bob', 'bob 1');
    await turnsUntil(6);
    expect(done).toEqual(['flood 0', 'ada 1', 'bob 1', 'flood 1', 'ada 2', 'flood 2']);
  });

  it('who comes later has its turn within a round', async () => {
    for (const client of ['a', 'b', 'c']) for (const piece of [1, 2]) add(client, `${client}${piece}`);
    await turnsUntil(1);
    add('late', 'late');
    await turnsUntil(7);
    expect(done).toEqual(['a1', 'b1', 'c1', 'late', 'a2', 'b2', 'c2']);
  });

  /** Adds work that is expected to take so long, and takes so long. */
  function expectAndAdd(client: string, name: string, expectedMs: number, ms = expectedMs): void {
    const onTurn = (): void => {
      now += ms;
      done.push(name);
    };
    turns.add({ owner: owner(client), isRead: false, expectedMs, onTurn });
  }

  it('what takes little does not wait behind what takes long and came first', async () => {
    for (let index = 0; index < 20; index++) expectAndAdd(`flood ${index}`, 'long', 16);
    expectAndAdd('ada', 'ada', 1.25);
    for (let index = 0; index < 3; index++) add('bob', `bob ${index}`, 0.5);
    await turnsUntil(24);
    expect(done.slice(0, 4)).toEqual(['bob 0', 'ada', 'bob 1', 'bob 2']);
  });

  it('who took longer than was expected waits as many rounds as it took milliseconds', async () => {
    expectAndAdd('flood', 'flood 1', 0, 5);
    for (const client of ['flood', 'flood']) expectAndAdd(client, 'flood again', 0, 5);
    for (let index = 1; index < 9; index++) add('ada', `ada ${index}`, 1);
    await turnsUntil(11);
    expect(done).toEqual([
      ...['flood 1', 'ada 1', 'ada 2', 'ada 3', 'ada 4', 'flood again'],
      ...['ada 5', 'ada 6', 'ada 7', 'ada 8', 'flood again'],
    ]);
  });

  it('remembers what a client took while others wait, though nothing of it does', async () => {
    expectAndAdd('flood', 'flood', 0, 5);
    for (let index = 1; index < 9; index++) add('ada', `ada ${index}`, 1);
    await turnsUntil(1);
    expectAndAdd('flood', 'flood again', 0, 5);
    await turnsUntil(10);
    expect(done.indexOf('flood again')).toBe(5);
  });

  it('counts nothing of what a client took once nobody waits', async () => {
    for (let index = 0; index < 2; index++) expectAndAdd('flood', 'flood', 0, 500);
    await turnsUntil(2);
    await nextTurn();
    add('flood', 'flood again', 1);
    add('ada', 'ada', 1);
    await turnsUntil(4);
    expect(done.slice(2)).toEqual(['flood again', 'ada']);
  });

  it('lets nobody wait for more than 100 rounds for what it took', async () => {
    for (let index = 0; index < 2; index++) expectAndAdd('flood', 'flood', 0, 5_000);
    for (let index = 0; index < 200; index++) add('ada', `ada ${index}`, 1);
    await turnsUntil(202);
    expect(done.lastIndexOf('flood')).toBe(101);
  });

  it('looks at everybody twice, not once a round, where all who wait took long', async () => {
    let looks = 0;
    const clients = 1_000;
    const list = done;
    const addOf = (client: number): boolean =>
      turns.add({
        owner: {
          client: `${client}`,
          get isClosed() {
            looks++;
            return false;
          },
        },
        isRead: false,
        expectedMs: 64,
        onTurn: () => {
          if (list === done) now += 64;
          list.push(`${client}`);
        },
      });
    for (let client = 0; client < clients; client++) addOf(client);
    await nextTurn();
    expect(done).toEqual(['0']);
    expect(looks).toBeLessThanOrEqual(2 * clients + 2);
  });

  it('what is dropped of a closed client keeps its others waiting no longer', async () => {
    const gone = { client: 'ada', isClosed: true };
    turns.add({ owner: gone, isRead: false, expectedMs: 50, onTurn: () => undefined });
    add('ada', 'ada', 1);
    for (let index = 0; index < 5; index++) add('bob', `bob ${index}`, 1);
    await turnsUntil(6);
    expect(done[0]).toBe('ada');
  });

  it('of reads, one is done in each fourth turn, and more only where nothing else waits', async () => {
    for (let index = 0; index < 6; index++) add(`reader ${index}`, `read ${index}`, 1, true);
    expect(turns.isOver(true)).toBe(true);
    expect(turns.isOver(false)).toBe(false);
    for (let index = 0; index < 6; index++) add('ada', `ada ${index}`, 1);
    await turnsUntil(2);
    expect(done).toEqual(['read 0', 'ada 0']);
    await turnsUntil(7);
    expect(done.slice(2)).toEqual(['ada 1', 'ada 2', 'ada 3', 'ada 4', 'ada 5']);
    await turnsUntil(9);
    expect(done.slice(7)).toEqual(['read 1', 'read 2']);
    expect(await turnsUntil(11)).toBe(4);
    expect(done.slice(9)).toEqual(['read 3', 'read 4']);
  });

  it('what closed clients wait for is dropped in passing, and settles', async () => {
    const gone = { client: 'a', isClosed: false };
    expect(turns.isOver(false)).toBe(false);
    now += 8;
    const settled = Promise.all(Array.from({ length: 500 }, () => turns.turn(gone, false) as Promise<void>));
    add('a', 'after');
    gone.isClosed = true;
    await nextTurn();
    expect(done).toEqual(['after']);
    await settled;
    expect(turns.size).toBe(0);
  });

  it('however many pieces of closed clients come before, the next one is done in the same turn', async () => {
    for (let index = 0; index < 3; index++)
      turns.add({ owner: owner('a', true), isRead: false, onTurn: () => (now += 8) });
    add('a', 'after');
    await nextTurn();
    expect(done).toEqual(['after']);
  });

  it('work may add work, the last piece too', async () => {
    turns.add({
      owner: owner('a'),
      isRead: false,
      onTurn: () => {
        done.push('first');
        add('a', 'second');
      },
    });
    await turnsUntil(2);
    add('a', 'third');
    await turnsUntil(3);
    expect(done).toEqual(['first', 'second', 'third']);
  });

  it('of one client no more waits than 8,192 pieces; another one still finds room', async () => {
    const added = Array.from({ length: 8_192 }, () => add('flood', '', 0));
    expect(new Set(added)).toEqual(new Set([true]));
    expect(add('flood', 'one more', 0)).toBe(false);
    await expect(turns.turn(owner('flood'), false)).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 1_000,
    });
    expect(add('ada', 'ada', 0)).toBe(true);
    await turnsUntil(8_193);
    expect(add('flood', 'again', 0)).toBe(true);
  });

  it('of all clients no more waits than 65,536 pieces, beside the first of each', () => {
    const added = Array.from({ length: 65_536 }, (_, index) => add(`user ${index % 16}`, '', 0));
    expect(new Set(added)).toEqual(new Set([true]));
    expect(add('user 3', 'one more', 0)).toBe(false);
    expect(add('newcomer', 'newcomer', 0)).toBe(true);
    expect(add('newcomer', 'a second', 0)).toBe(false);
    expect(turns.size).toBe(65_537);
  });
});
