import { beforeEach, describe, expect, it } from '@jest/globals';
import { ThrottledLog } from '../../../lib/core/async/throttled-log.js';
import { TimeLeft } from '../../../lib/core/async/time-left.js';
import { Deliveries } from '../../../lib/hooks/deliveries.js';
import { DeliveryFailure } from '../../../lib/hooks/delivery-failure.js';
import type { DeliveryTarget, TargetLimits } from '../../../lib/hooks/target-queue.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { FakeTarget, occupied, offline } from '../../support/hooks/fake-target.js';

let clock: ManualClock;
let logger: RecordingLogger;
/** Outcomes of `accept`, by the ids of the events. */
let ends: Record<string, boolean>;

beforeEach(() => {
  clock = new ManualClock();
  logger = new RecordingLogger();
  ends = {};
});

function make(
  targets: readonly DeliveryTarget[],
  limits: Partial<TargetLimits> = {},
  random?: () => number,
): Deliveries {
  const entropy = random === undefined ? new SeededEntropy(3) : { random };
  return new Deliveries({ targets, clock, entropy, journal: new ThrottledLog(logger, clock), limits });
}

function accept(deliveries: Deliveries, ...events: readonly ReturnType<typeof occupied>[]): void {
  for (const event of events) void deliveries.accept(event).then((end) => (ends[event.id] = end));
}

const lines = (text: string) => logger.records.filter(({ message }) => message.includes(text));

describe('the deliveries of hook events', () => {
  it('hand the events of a channel over one after another, and those of other channels at the same time', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a1', 'a'), occupied('a2', 'a'), occupied('b1', 'b'));
    await settle();
    expect(target.attempts).toEqual(['a1', 'b1']);
    target.of('b1').take();
    await settle();
    expect(ends).toEqual({ b1: true });
    expect(target.attempts).toEqual(['a1', 'b1']);
    target.of('a1').take();
    await settle();
    target.of('a2').take();
    await settle();
    expect(ends).toEqual({ b1: true, a1: true, a2: true });
    expect(target.taken).toEqual(['b1', 'a1', 'a2']);
    expect(clock.pending).toBe(1);
    await deliveries.close(new TimeLeft(clock, 60_000));
    expect(clock.pending).toBe(0);
  });

  it('keep the events of one channel in order when one has to be tried again', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a1', 'a'), occupied('a2', 'a'), occupied('b1', 'b'));
    await settle();
    target.of('a1').fail(new Error('refused'));
    target.of('b1').take();
    await settle();
    expect(target.open).toEqual([]);
    await clock.advanceAsync(1_000);
    expect(target.attempts).toEqual(['a1', 'b1', 'a1']);
    target.of('a1').take();
    await settle();
    target.of('a2').take();
    await settle();
    expect(target.taken).toEqual(['b1', 'a1', 'a2']);
    expect(lines('The hook target fake failed; 3 events wait')).toHaveLength(1);
    expect(deliveries.status).toEqual([
      { name: 'fake', waiting: 0, bytes: 0, taken: 3, givenUp: 0, state: 'working' },
    ]);
  });

  it('treat an error that is thrown at once, and a rejection with nothing, as failures', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    let calls = 0;
    target.deliver = (event: { id: string }) => {
      target.attempts.push(event.id);
      if (++calls === 1) throw new Error('at once');
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      return calls === 2 ? Promise.reject() : Promise.resolve();
    };
    accept(deliveries, occupied('a'));
    await clock.advanceAsync(1_000);
    await clock.advanceAsync(2_000);
    expect(target.attempts).toEqual(['a', 'a', 'a']);
    expect(ends).toEqual({ a: true });
  });

  it('wait before each further attempt up to twice as long, any part of it, and a minute at most', async () => {
    const target = new FakeTarget();
    const waits: number[] = [];
    const random = () => 0.999;
    const deliveries = make([target], { maxAgeMs: 86_400_000 }, random);
    // Successes of another channel between, so that the target is not left alone.
    accept(deliveries, occupied('a'));
    for (let round = 0; round < 9; round++) {
      await settle();
      target.of('a').fail(new Error('refused'));
      accept(deliveries, occupied(`b${round}`, 'b'));
      await settle();
      target.of(`b${round}`).take();
      await settle();
      const from = clock.monotonic();
      while (target.open.length === 0) await clock.advanceAsync(clock.untilNext ?? 0);
      waits.push(Math.round((clock.monotonic() - from) / 0.999));
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(ends['a']).toBeUndefined();
    const soon = new FakeTarget();
    accept(
      make([soon], {}, () => 0),
      occupied('now'),
    );
    await settle();
    soon.of('now').fail(new Error('refused'));
    await clock.advanceAsync(0);
    expect(soon.attempts).toEqual(['now', 'now']);
  });

  it('end an attempt that takes too long, and try again', async () => {
    const target = new FakeTarget('slow', { timeoutMs: 500 });
    const deliveries = make([target]);
    accept(deliveries, occupied('a'));
    await clock.advanceAsync(499);
    const [first] = target.open;
    expect(first?.signal.aborted).toBe(false);
    await clock.advanceAsync(1);
    expect(first?.signal.aborted).toBe(true);
    expect(lines('did not answer within 500 ms')).toHaveLength(1);
    first?.fail(new Error('aborted'));
    while (target.attempts.length < 2) await clock.advanceAsync(100);
    target.of('a').take();
    await settle();
    expect(ends).toEqual({ a: true });
  });

  it('count an event as taken that its target took after its time, unless it is tried again already', async () => {
    const target = new FakeTarget('slow', { timeoutMs: 500 });
    const deliveries = make([target], {}, () => 0.9);
    accept(deliveries, occupied('a'), occupied('b'));
    await clock.advanceAsync(500);
    target.of('a').take();
    await settle();
    expect(ends).toEqual({ a: true });
    await settle();
    await clock.advanceAsync(500);
    const [late] = target.open;
    await clock.advanceAsync(900);
    expect(target.attempts).toEqual(['a', 'b', 'b']);
    late?.take();
    await settle();
    expect(ends).toEqual({ a: true });
    target.of('b').take();
    await settle();
    expect(ends).toEqual({ a: true, b: true });
    expect(deliveries.status[0]).toMatchObject({ taken: 2, waiting: 0 });
  });

  it('call a target no more that leaves too many attempts unanswered, until it answers one', async () => {
    const target = new FakeTarget('stuck', { timeoutMs: 10 });
    const deliveries = make([target], { maxAgeMs: 3_600_000 });
    for (let count = 0; count < 100; count++) accept(deliveries, occupied(`e${count}`, `c${count}`));
    await clock.advanceAsync(1_800_000);
    expect(target.open).toHaveLength(32);
    target.open[0]?.fail(new Error('at last'));
    await clock.advanceAsync(60_000);
    expect(target.open).toHaveLength(32);
    expect(target.attempts).toHaveLength(33);
    await deliveries.close(new TimeLeft(clock, 60_000));
  });

  it('give an event up that is too old, also behind one that fails and while nothing is called, and say so once', async () => {
    const target = new FakeTarget('old', { maxAgeMs: 10_000 });
    const deliveries = make([target]);
    accept(deliveries, occupied('a1', 'a'));
    await clock.advanceAsync(4_000);
    accept(deliveries, occupied('a2', 'a'));
    target.of('a1').fail(new DeliveryFailure('it is busy', { retryAfterMs: 3_600_000 }));
    await clock.advanceAsync(5_999);
    expect(ends).toEqual({});
    await clock.advanceAsync(1);
    expect(ends).toEqual({ a1: true });
    await clock.advanceAsync(3_999);
    expect(ends).toEqual({ a1: true });
    await clock.advanceAsync(1);
    expect(ends).toEqual({ a1: true, a2: true });
    expect(target.attempts).toEqual(['a1']);
    expect(lines('was not taken within 10000 ms').map(({ level }) => level)).toEqual(['error']);
    expect(deliveries.status[0]).toMatchObject({ waiting: 0, bytes: 0, givenUp: 2, taken: 0 });
    await clock.advanceAsync(0);
    expect(clock.pending).toBe(1);
  });

  it('let an attempt end that is under way when its event becomes too old, and then judge it', async () => {
    const target = new FakeTarget('old', { maxAgeMs: 1_000, timeoutMs: 5_000 });
    const deliveries = make([target]);
    accept(deliveries, occupied('a', 'a'), occupied('b', 'b'));
    await clock.advanceAsync(2_000);
    expect(ends).toEqual({});
    target.of('a').take();
    target.of('b').fail(new Error('refused'));
    await settle();
    expect(ends).toEqual({ a: true, b: true });
    expect(deliveries.status[0]).toMatchObject({ taken: 1, givenUp: 1 });
  });

  it('do not count the age of an event from a younger one that waits behind an attempt', async () => {
    const target = new FakeTarget('old', { maxAgeMs: 1_000, timeoutMs: 5_000 });
    const deliveries = make([target], {}, () => 0.999);
    accept(deliveries, occupied('a', 'a'));
    await clock.advanceAsync(500);
    accept(deliveries, occupied('a2', 'a'));
    await clock.advanceAsync(100);
    target.of('a').fail(new Error('refused'));
    await clock.advanceAsync(400);
    expect(ends).toEqual({ a: true });
    await settle();
    expect(target.attempts).toEqual(['a', 'a2']);
  });

  it('hold no target back because of one that hangs', async () => {
    const hangs = new FakeTarget('hangs');
    const works = new FakeTarget('works');
    works.answer = () => undefined;
    const deliveries = make([hangs, works], { maxEvents: 10 });
    for (let count = 0; count < 100; count++) {
      accept(deliveries, occupied(`e${count}`, `c${count % 7}`));
      await settle();
    }
    expect(works.taken).toHaveLength(100);
    // Those that found no room at the first were given up for it; the others wait.
    expect(Object.keys(ends)).toHaveLength(90);
    expect(deliveries.status).toMatchObject([
      { name: 'hangs', waiting: 10, givenUp: 90 },
      { name: 'works', waiting: 0, taken: 100, givenUp: 0 },
    ]);
    expect(lines('hangs does not keep up: 10 events wait (at most 10')).toHaveLength(1);
  });

  it('call a target for several channels at the same time, as many as are allowed, each in its turn', async () => {
    const target = new FakeTarget();
    const deliveries = make([target], { concurrency: 3 });
    for (const id of ['a1', 'a2', 'b1', 'c1', 'd1', 'e1']) accept(deliveries, occupied(id, id.charAt(0)));
    for (let count = 0; count < 6; count++) {
      await settle();
      target.open[0]?.take();
    }
    await settle();
    expect(target.most).toBe(3);
    expect(target.taken).toEqual(['a1', 'b1', 'c1', 'd1', 'e1', 'a2']);
  });

  it('leave a target alone that keeps failing, and try it with one event at a time until it works', async () => {
    const target = new FakeTarget('dead');
    const deliveries = make([target], { concurrency: 8 });
    let isDead = true;
    let calls: number[] = [];
    target.answer = () => {
      calls.push(clock.monotonic());
      if (isDead) throw new Error('refused');
    };
    for (let count = 0; count < 50; count++) accept(deliveries, occupied(`e${count}`, `c${count}`));
    await settle();
    // Five failures, and what had begun by then.
    expect(calls.length).toBeLessThan(5 + 8);
    expect(deliveries.status[0]).toMatchObject({ state: 'failing' });
    expect(lines('dead keeps failing')).toHaveLength(1);
    calls = [];
    await clock.advanceAsync(600_000);
    // 1, 2, 4 … 60 s apart, each a single attempt.
    expect(calls.length).toBeGreaterThan(10);
    expect(calls.length).toBeLessThan(20);
    isDead = false;
    target.answer = undefined;
    while (target.open.length === 0) await clock.advanceAsync(100);
    expect(target.open).toHaveLength(1);
    target.open[0]?.take();
    await clock.advanceAsync(1);
    expect(target.open).toHaveLength(1);
    target.open[0]?.take();
    await settle();
    // Works again: nothing waits for its own pause.
    expect(target.open).toHaveLength(8);
    expect(lines('dead works again')).toHaveLength(1);
    while (target.open.length > 0) {
      target.open[0]?.take();
      await settle();
    }
    expect(deliveries.status[0]).toMatchObject({ state: 'working', waiting: 0, taken: 50 });
  });

  it('do not leave a target alone for an event that it cannot take while it takes others', async () => {
    const target = new FakeTarget();
    target.answer = ({ id }) => {
      if (id === 'bad') throw new Error('cannot');
    };
    const deliveries = make([target]);
    accept(deliveries, occupied('bad', 'a'), occupied('behind', 'a'));
    for (let count = 0; count < 30; count++) {
      accept(deliveries, occupied(`b${count}`, 'b'));
      await clock.advanceAsync(1_000);
    }
    expect(deliveries.status[0]).toMatchObject({ state: 'working', taken: 30 });
    expect(target.attempts.filter((id) => id === 'bad').length).toBeGreaterThan(3);
    expect(target.taken).not.toContain('behind');
  });

  it('call a target for nothing while it asked for a pause, and soon after it', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a', 'a'));
    await settle();
    target.of('a').fail(new DeliveryFailure('it is busy', { retryAfterMs: 30_000 }));
    await settle();
    accept(deliveries, occupied('b', 'b'));
    await clock.advanceAsync(29_999);
    expect(target.open).toEqual([]);
    await clock.advanceAsync(1);
    expect([...target.attempts].sort()).toEqual(['a', 'a', 'b']);
    expect(target.open).toHaveLength(2);
  });

  it('give up at once what its target refuses for good, and deliver what is behind it', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a1', 'a'), occupied('a2', 'a'));
    await settle();
    target.of('a1').fail(new DeliveryFailure('it cannot be written', { ends: 'event' }));
    await settle();
    expect(ends).toEqual({ a1: true });
    target.of('a2').take();
    await settle();
    expect(ends).toEqual({ a1: true, a2: true });
    expect(lines('the id a1: it refused it for good: it cannot be written')).toHaveLength(1);
  });

  it('go on with trials after one that showed nothing of the target', async () => {
    const target = new FakeTarget();
    const deliveries = make([target], { concurrency: 1 });
    target.answer = () => {
      throw new Error('refused');
    };
    for (let count = 0; count < 8; count++) accept(deliveries, occupied(`e${count}`, `c${count}`));
    await settle();
    expect(deliveries.status[0]).toMatchObject({ state: 'failing' });
    target.answer = ({ id }) => {
      if (id === 'e5') throw new DeliveryFailure('never', { ends: 'event' });
    };
    await clock.advanceAsync(120_000);
    expect(deliveries.status[0]).toMatchObject({ state: 'working', taken: 7, givenUp: 1 });
  });

  it('end a target that wants nothing more, with what waits for it and what is under way', async () => {
    const gone = new FakeTarget('gone');
    const other = new FakeTarget('other');
    other.answer = () => undefined;
    const deliveries = make([gone, other]);
    accept(deliveries, occupied('a1', 'a'), occupied('a2', 'a'), occupied('b1', 'b'));
    await settle();
    gone.of('a1').fail(new DeliveryFailure('it answered with status 410', { ends: 'target' }));
    await settle();
    expect(ends).toEqual({ a1: true, a2: true });
    gone.of('b1').fail(new Error('refused'));
    await settle();
    expect(ends).toEqual({ a1: true, a2: true, b1: true });
    accept(deliveries, occupied('c'));
    await clock.advanceAsync(600_000);
    expect(gone.attempts).toEqual(['a1', 'b1']);
    expect(other.taken).toEqual(['a1', 'b1', 'a2', 'c']);
    expect(deliveries.status).toMatchObject([
      { state: 'ended', givenUp: 3, waiting: 0 },
      { state: 'working' },
    ]);
    expect(lines('gone wants no events any more: it answered with status 410')).toHaveLength(1);
    expect(deliveries.room()).toBeGreaterThan(0);
  });

  it('call everything that waits as soon as one trial has worked, whatever its pause', async () => {
    const target = new FakeTarget();
    let isDead = false;
    target.answer = ({ id }) => {
      if (isDead || id === 'late') throw new Error('refused');
    };
    const deliveries = make([target], {}, () => 0.999);
    accept(deliveries, occupied('late', 'late'));
    // Fails alone until its pause is a minute.
    for (let count = 0; target.attempts.filter((id) => id === 'late').length < 8; count++) {
      accept(deliveries, occupied(`ok${count}`, 'ok'));
      await clock.advanceAsync(1_000);
    }
    isDead = true;
    for (let count = 0; count < 5; count++) accept(deliveries, occupied(`e${count}`, `c${count}`));
    await settle();
    expect(deliveries.status[0]).toMatchObject({ state: 'failing', waiting: 6 });
    target.answer = () => undefined;
    await clock.advanceAsync(1_000);
    expect(deliveries.status[0]).toMatchObject({ state: 'working', waiting: 0 });
  });

  it('do not count what a target refuses for good as failures of it, also in a trial', async () => {
    const target = new FakeTarget();
    const refuse = () => {
      throw new DeliveryFailure('never', { ends: 'event' });
    };
    target.answer = refuse;
    const deliveries = make([target], { concurrency: 1 });
    for (let count = 0; count < 20; count++) accept(deliveries, occupied(`r${count}`, `r${count}`));
    await settle();
    expect(deliveries.status[0]).toMatchObject({ state: 'working', givenUp: 20 });
    target.answer = () => {
      throw new Error('refused');
    };
    for (let count = 0; count < 20; count++) accept(deliveries, occupied(`f${count}`, `f${count}`));
    await settle();
    expect(deliveries.status[0]).toMatchObject({ state: 'failing', waiting: 20 });
    target.answer = refuse;
    await clock.advanceAsync(1_000);
    // The next trial need not wait for another pause.
    expect(deliveries.status[0]).toMatchObject({ state: 'failing', waiting: 0, givenUp: 40 });
  });

  it('do not shorten the pause that a target asked for when another attempt asks for a shorter one', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a', 'a'), occupied('b', 'b'));
    await settle();
    target.of('a').fail(new DeliveryFailure('it is busy', { retryAfterMs: 30_000 }));
    target.of('b').fail(new DeliveryFailure('it is busy', { retryAfterMs: 1_000 }));
    await clock.advanceAsync(29_999);
    expect(target.attempts).toEqual(['a', 'b']);
    await clock.advanceAsync(1);
    expect(target.attempts).toHaveLength(4);
  });

  it('do not call a target twice at the same time for an event when the one behind it is given up', async () => {
    const target = new FakeTarget('slow', { maxAgeMs: 1_000, timeoutMs: 5_000 });
    const deliveries = make([target]);
    accept(deliveries, occupied('a1', 'a'), occupied('a2', 'a'));
    await clock.advanceAsync(1_000);
    expect(ends).toEqual({ a2: true });
    expect(target.attempts).toEqual(['a1']);
    target.of('a1').take();
    await settle();
    expect(ends).toEqual({ a1: true, a2: true });
  });

  it('deliver to each target the types that it wants, and accept at once what none wants', async () => {
    const some = new FakeTarget('some', { types: ['channel.vacated'] });
    const deliveries = make([some]);
    expect(deliveries.wants('channel.occupied')).toBe(false);
    expect(deliveries.wants('channel.vacated')).toBe(true);
    await expect(deliveries.accept(occupied('a'))).resolves.toBe(true);
    expect(some.attempts).toEqual([]);
  });

  it('say that events are not settled when the node stops, but for those that are taken by then', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a1', 'a'), occupied('a2', 'a'), occupied('b1', 'b'), occupied('c1', 'c'));
    await settle();
    const closing = deliveries.close(new TimeLeft(clock, 60_000));
    expect(target.open.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    await settle();
    expect(ends).toEqual({ a2: false });
    target.of('b1').take();
    target.of('a1').fail(new Error('aborted'));
    await settle();
    expect(ends).toEqual({ a2: false, b1: true, a1: false });
    accept(deliveries, occupied('d1', 'd'));
    await clock.advanceAsync(5_000);
    await closing;
    expect(ends).toEqual({ a2: false, b1: true, a1: false, c1: false, d1: false });
    expect(target.attempts).toEqual(['a1', 'b1', 'c1']);
    expect(deliveries.status[0]).toMatchObject({ waiting: 0, bytes: 0, givenUp: 0 });
    expect(logger.records.map(({ message }) => message)).toEqual([
      'The hook target fake did not end 1 calls within 5000 ms, and this node stops without it: another one delivers these events again',
    ]);
  });

  it('wait no longer than there is time for attempts that are under way', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a'));
    await settle();
    let isClosed = false;
    const closing = deliveries.close(new TimeLeft(clock, 800)).then(() => (isClosed = true));
    await clock.advanceAsync(799);
    expect(isClosed).toBe(false);
    await clock.advanceAsync(1);
    await closing;
    expect(ends).toEqual({ a: false });
    expect(lines('did not end 1 calls within 800 ms')).toHaveLength(1);
  });

  it('say that an event is not settled when one of several targets has not taken it', async () => {
    const [fast, slow] = [new FakeTarget('fast'), new FakeTarget('slow')];
    fast.answer = () => undefined;
    const deliveries = make([fast, slow]);
    accept(deliveries, occupied('a'));
    await settle();
    const closing = deliveries.close(new TimeLeft(clock, 60_000));
    slow.of('a').fail(new Error('aborted'));
    await closing;
    await settle();
    expect(fast.taken).toEqual(['a']);
    expect(ends).toEqual({ a: false });
  });

  it('close at once when nothing is under way, also while something waits to be tried again', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    accept(deliveries, occupied('a'));
    await settle();
    target.of('a').fail(new DeliveryFailure('it is busy', { retryAfterMs: 30_000 }));
    await settle();
    accept(deliveries, occupied('b', 'b'));
    await deliveries.close(new TimeLeft(clock, 60_000));
    await settle();
    expect(ends).toEqual({ a: false, b: false });
    expect(clock.pending).toBe(0);
    expect(lines('did not end')).toEqual([]);
  });
});

describe('the room for hook events', () => {
  const SMALL = { maxEvents: 10 };
  const fill = async (deliveries: Deliveries, count: number, from = 0) => {
    for (let index = from; index < from + count; index++)
      accept(deliveries, occupied(`e${index}`, `c${index}`));
    await settle();
  };

  it('is what the target has that has least, in events and in bytes', async () => {
    const target = new FakeTarget();
    expect(make([target], SMALL).room()).toBe(10);
    expect(make([target], { maxBytes: 9_000 }).room()).toBe(2);
    expect(make([target], { maxBytes: 8_191 }).room()).toBe(1);
    const deliveries = make([target, new FakeTarget('other', { types: ['channel.vacated'] })], SMALL);
    await fill(deliveries, 3);
    expect(deliveries.room()).toBe(7);
    await fill(deliveries, 7, 3);
    expect(deliveries.room()).toBe(0);
    target.of('e0').take();
    await settle();
    expect(deliveries.room()).toBe(1);
  });

  it('bounds the bytes of what is accepted, whatever its size', async () => {
    const target = new FakeTarget();
    const deliveries = make([target], { maxBytes: 100_000 });
    accept(deliveries, offline('big', 'u1', 'x'.repeat(60_000)), offline('fits', 'u2', 'x'.repeat(20_000)));
    await settle();
    expect(ends).toEqual({ big: true });
    expect(deliveries.status[0]?.bytes).toBeLessThan(50_000);
    accept(deliveries, offline('no', 'u3', 'x'.repeat(20_000)));
    await settle();
    expect(ends).toEqual({ big: true, no: true });
    expect(deliveries.status[0]).toMatchObject({ waiting: 1, givenUp: 2 });
    target.of('fits').take();
    await settle();
    expect(deliveries.status[0]).toMatchObject({ waiting: 0, bytes: 0 });
  });

  it('is for events of channels, however many notices wait, and both have their turns', async () => {
    const target = new FakeTarget();
    const deliveries = make([target], { ...SMALL, concurrency: 1 });
    for (let index = 0; index < 8; index++) accept(deliveries, offline(`o${index}`, `u${index}`));
    await settle();
    expect(Object.keys(ends)).toEqual(['o5', 'o6', 'o7']);
    expect(deliveries.offlineRoom(1_000)).toBe(0);
    expect(deliveries.room()).toBe(5);
    accept(deliveries, occupied('c0', 'c0'), occupied('c1', 'c1'));
    for (let count = 0; count < 5; count++) {
      await settle();
      target.open[0]?.take();
    }
    expect(target.taken).toEqual(['o0', 'c0', 'o1', 'c1', 'o2']);
    await settle();
    expect(deliveries.offlineRoom(1_000)).toBe(3);
  });

  it('is that of the others half a minute after one has none, until half of that is free', async () => {
    const slow = new FakeTarget('slow', { timeoutMs: 3_600_000 });
    const fast = new FakeTarget('fast');
    fast.answer = () => undefined;
    const deliveries = make([slow, fast], { ...SMALL, maxAgeMs: 3_600_000 });
    await fill(deliveries, 10);
    expect(deliveries.room()).toBe(0);
    await clock.advanceAsync(29_999);
    expect(deliveries.room()).toBe(0);
    await clock.advanceAsync(1);
    expect(deliveries.room()).toBe(10);
    for (let count = 0; count < 4; count++) slow.open[0]?.take();
    await settle();
    expect(deliveries.room()).toBe(10);
    slow.open[0]?.take();
    await settle();
    expect(deliveries.room()).toBe(5);
    await fill(deliveries, 5, 10);
    expect(deliveries.room()).toBe(0);
    await clock.advanceAsync(29_999);
    expect(deliveries.room()).toBe(0);
  });

  it('is not that of a target that fails, unless there is no other', async () => {
    const dead = new FakeTarget('dead');
    dead.answer = () => {
      throw new Error('refused');
    };
    const alone = make([dead], SMALL);
    await fill(alone, 10);
    expect(alone.status[0]).toMatchObject({ state: 'failing' });
    await clock.advanceAsync(60_000);
    expect(alone.room()).toBe(0);
    const works = new FakeTarget('works');
    works.answer = () => undefined;
    const both = make([dead, works], SMALL);
    await fill(both, 10);
    expect(both.room()).toBe(10);
  });
});

describe('what was erased (G29)', () => {
  const CHANNEL = '$user.u1';
  const place = (seq: number, channel = CHANNEL) => ({ channel, epoch: 'e', seq });
  const notify = (deliveries: Deliveries, id: string, seq: number, channel?: string): void =>
    void deliveries.accept(offline(id), place(seq, channel)).then((end) => (ends[id] = end));

  it('is not delivered again after an attempt that failed, and what is behind it is delivered', async () => {
    const target = new FakeTarget();
    const deliveries = make([target], {}, () => 1);
    notify(deliveries, 'n1', 1);
    notify(deliveries, 'n2', 2);
    notify(deliveries, 'n3', 3);
    await settle();
    target.of('n1').fail(new Error('refused'));
    await settle();
    deliveries.erased(CHANNEL, new Set([1, 3]));
    await settle();
    expect(target.attempts).toEqual(['n1', 'n2']);
    expect(ends).toEqual({ n1: true, n3: true });
    target.of('n2').take();
    await clock.advanceAsync(60_000);
    expect(target.attempts).toEqual(['n1', 'n2']);
    expect(deliveries.status).toMatchObject([{ waiting: 0, bytes: 0, taken: 1, givenUp: 0 }]);
    expect(clock.pending).toBe(1);
  });

  it('is aborted where it is under way, is no failure of the target, and is not tried again', async () => {
    const target = new FakeTarget();
    const deliveries = make([target]);
    for (const seq of [1, 2, 3, 4, 5, 6]) {
      notify(deliveries, `n${seq}`, seq);
      await settle();
      deliveries.erased(CHANNEL, new Set([seq]));
      const { signal, fail } = target.of(`n${seq}`);
      expect(signal.aborted).toBe(true);
      fail(new DeliveryFailure('the attempt was ended'));
      await settle();
    }
    await clock.advanceAsync(60_000);
    expect(target.attempts).toEqual(['n1', 'n2', 'n3', 'n4', 'n5', 'n6']);
    expect(deliveries.status).toMatchObject([{ waiting: 0, state: 'working', givenUp: 0 }]);
    expect(ends).toEqual({ n1: true, n2: true, n3: true, n4: true, n5: true, n6: true });
    expect(lines('failed')).toEqual([]);
  });

  it('keeps a target that fails on trial when an erasure ends the attempt', async () => {
    const target = new FakeTarget();
    const deliveries = make([target], {}, () => 0);
    notify(deliveries, 'n1', 1);
    for (let attempt = 0; attempt < 5; attempt++) {
      await settle();
      target.of('n1').fail(new Error('refused'));
      await clock.advanceAsync(0);
    }
    notify(deliveries, 'n2', 2);
    await clock.advanceAsync(1_000);
    deliveries.erased(CHANNEL, new Set([1]));
    target.of('n1').fail(new DeliveryFailure('the attempt was ended'));
    await clock.advanceAsync(1_000);
    target.of('n2').take();
    await settle();
    expect(ends).toEqual({ n1: true, n2: true });
  });

  it('is in every target, and nothing of other channels or places is', async () => {
    const targets = [new FakeTarget('a'), new FakeTarget('b')];
    const deliveries = make(targets, {}, () => 0);
    notify(deliveries, 'n1', 1);
    notify(deliveries, 'n2', 1, '$user.u2');
    accept(deliveries, occupied('c1'));
    await settle();
    const fail = (id: string) => {
      for (const target of targets) target.open.find((one) => one.id === id)?.fail(new Error('refused'));
    };
    fail('n1');
    fail('c1');
    await settle();
    deliveries.erased(CHANNEL, new Set([1]));
    await clock.advanceAsync(0);
    expect(ends).toEqual({ n1: true });
    for (const target of targets) {
      target.of('c1').take();
      await settle();
      target.of('n2').take();
      await settle();
    }
    expect(ends).toEqual({ n1: true, n2: true, c1: true });
  });
});
