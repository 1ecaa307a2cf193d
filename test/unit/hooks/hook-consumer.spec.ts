import { beforeEach, describe, expect, it } from '@jest/globals';
import { TimeLeft } from '../../../lib/core/async/time-left.js';
import type { Transition } from '../../../lib/core/ports/transitions.js';
import { HookConsumer } from '../../../lib/hooks/hook-consumer.js';
import type { HookEvent } from '../../../lib/hooks/hook-event.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';

const POLL_MS = 250;

let clock: ManualClock;
let waiting: Transition[];
let limits: number[];
let done: string[];
let accepted: { readonly event: HookEvent; readonly end: (isSettled: boolean) => void }[];
let warnings: string[];
let room: number;
let fails: boolean;
let consumer: HookConsumer;

function transition(id: string, change: Partial<Transition> = {}): Transition {
  return { id, channel: 'rooms.1', held: true, at: 5, ...change };
}

beforeEach(() => {
  clock = new ManualClock();
  waiting = [];
  limits = [];
  done = [];
  accepted = [];
  warnings = [];
  room = 1_000;
  fails = false;
  consumer = new HookConsumer({
    transitions: {
      take: async (limit) => {
        limits.push(limit);
        if (fails) throw new Error('away');
        return waiting.splice(0, limit);
      },
      done: async (ids) => {
        if (fails) throw new Error('away');
        done.push(...ids);
      },
    },
    deliveries: {
      room: () => room,
      accept: (event) => new Promise((end) => accepted.push({ event, end })),
    },
    clock,
    journal: { warn: (_, message) => void warnings.push(message()) },
  });
});

describe('the consumer of transitions (G32)', () => {
  it('hands on what it takes, in order, as events', async () => {
    waiting = [
      transition('1'),
      transition('2', { member: 'u1' }),
      transition('3', { member: 'u1', held: false }),
      transition('4', { held: false }),
    ];
    consumer.start();
    await settle();
    const of = { at: 5, channel: 'rooms.1' };
    expect(accepted.map(({ event }) => event)).toEqual([
      { id: '1', type: 'channel.occupied', ...of },
      { id: '2', type: 'member.joined', ...of, user: 'u1' },
      { id: '3', type: 'member.left', ...of, user: 'u1' },
      { id: '4', type: 'channel.vacated', ...of },
    ]);
  });

  it('tells the broker what was dealt with, and nothing else', async () => {
    waiting = [transition('1'), transition('2'), transition('3')];
    consumer.start();
    await settle();
    accepted[2]?.end(true);
    accepted[0]?.end(false);
    await clock.advanceAsync(POLL_MS);
    expect(done).toEqual(['3']);
    accepted[1]?.end(true);
    await clock.advanceAsync(POLL_MS);
    expect(done).toEqual(['3', '2']);
  });

  it('asks again and again, for as much as there is room for, and also where there is none', async () => {
    consumer.start();
    await settle();
    room = 3;
    await clock.advanceAsync(POLL_MS);
    room = 0;
    await clock.advanceAsync(POLL_MS);
    room = -1;
    await clock.advanceAsync(POLL_MS);
    expect(limits).toEqual([500, 3, 0, 0]);
  });

  it('asks at once for more where it was handed as much as it asked for', async () => {
    waiting = Array.from({ length: 1_200 }, (_, index) => transition(String(index)));
    consumer.start();
    await settle();
    await clock.advanceAsync(0);
    await clock.advanceAsync(0);
    expect(accepted).toHaveLength(1_200);
    expect(limits).toEqual([500, 500, 500]);
  });

  it('does not hand on once more what it is delivering, and hands on again what it gave back', async () => {
    waiting = [transition('1')];
    consumer.start();
    await settle();
    waiting = [transition('1')];
    await clock.advanceAsync(POLL_MS);
    expect(accepted).toHaveLength(1);
    accepted[0]?.end(false);
    waiting = [transition('1')];
    await clock.advanceAsync(POLL_MS);
    expect(accepted).toHaveLength(2);
  });

  it('asks on while the broker is away, with pauses of two seconds at most, and says so', async () => {
    waiting = [transition('1')];
    fails = true;
    consumer.start();
    await settle();
    await clock.advanceAsync(20_000);
    expect(limits.length).toBeGreaterThanOrEqual(12);
    expect(limits.length).toBeLessThanOrEqual(15);
    expect(warnings[0]).toBe(
      'Hooks are late: what began and ended could not be taken from the broker: Error: away',
    );
    fails = false;
    await clock.advanceAsync(2_000);
    expect(accepted).toHaveLength(1);
    limits = [];
    await clock.advanceAsync(POLL_MS * 4);
    expect(limits).toHaveLength(4);
  });

  it('ends: it takes nothing more, and tells the broker of what was dealt with until then', async () => {
    waiting = [transition('1'), transition('2')];
    consumer.start();
    await settle();
    await consumer.stop(new TimeLeft(clock, 60_000));
    waiting = [transition('3')];
    await clock.advanceAsync(10 * POLL_MS);
    expect(limits).toEqual([500, 500]);
    accepted[0]?.end(true);
    accepted[1]?.end(false);
    await settle();
    await consumer.tell();
    expect(done).toEqual(['1']);
    expect(clock.pending).toBe(0);
  });

  it('looks once more when it ends, and waits until what it found then was dealt with', async () => {
    waiting = [transition('1')];
    consumer.start();
    await settle();
    waiting = [transition('2', { member: 'u1', held: false })];
    let isEnded = false;
    const ending = consumer.stop(new TimeLeft(clock, 60_000)).then(() => (isEnded = true));
    await settle();
    expect(accepted.map(({ event }) => event.id)).toEqual(['1', '2']);
    expect(isEnded).toBe(false);
    accepted[1]?.end(true);
    await ending;
    await consumer.tell();
    expect(done).toEqual(['2']);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['three seconds', 60_000, 3_000],
    ['as there is time', 900, 900],
  ])('waits no longer than %s for what its last look found', async (_, givenMs, waitedMs) => {
    consumer.start();
    await settle();
    waiting = [transition('1')];
    let isEnded = false;
    void consumer.stop(new TimeLeft(clock, givenMs)).then(() => (isEnded = true));
    await clock.advanceAsync(waitedMs - 1);
    expect(isEnded).toBe(false);
    await clock.advanceAsync(1);
    expect(isEnded).toBe(true);
  });

  it('takes nothing at its end where it never began, or where the broker is away', async () => {
    await consumer.stop(new TimeLeft(clock, 60_000));
    expect(limits).toEqual([]);
  });

  it('ends without an error where the broker is away', async () => {
    waiting = [transition('1')];
    consumer.start();
    await settle();
    accepted[0]?.end(true);
    fails = true;
    await clock.advanceAsync(POLL_MS);
    await consumer.stop(new TimeLeft(clock, 60_000));
    await expect(consumer.tell()).resolves.toBeUndefined();
  });
});
