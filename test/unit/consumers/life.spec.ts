import { expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import {
  Backoff,
  consumerOf,
  consumeSettings,
  delay,
  idPrefix,
  LaneEnd,
  type RecordSource,
} from '../../../lib/consumers/index.js';
import { WorkTime } from '../../../lib/consumers/work-time.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ConsumerWorld, eventOf } from '../../support/consumers/consumer-world.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';

it('reads the next batch only when the one before is acknowledged and committed', async () => {
  const world = new ConsumerWorld();
  for (let index = 0; index < 100; index++) world.topic.add(0, 'a', String(index));
  world.ledger.fault = () => ({ when: 'before', error: new RealtimeError('unavailable') });
  const { life, run } = world.node();
  await world.pass(120_000);
  expect(life.steps.filter((step) => step === 'read')).toHaveLength(1);
  expect(run.status()).toMatchObject({ state: 'retrying', lag: 100 });
  // At most five seconds and a half of it apart: 4 events, at least 16 times.
  expect(world.ledger.attempts.length).toBeGreaterThan(4 * 16);
  expect(world.ledger.attempts.length).toBeLessThan(4 * 60);
});

it('waits as long as the refusal asks for', async () => {
  const world = new ConsumerWorld();
  world.topic.add(0, 'a', '1');
  world.ledger.fault = () => ({
    when: 'before',
    error: new RealtimeError('rate_limited', { retryAfterMs: 20_000 }),
  });
  world.node();
  await world.pass(19_999);
  expect(world.ledger.attempts).toHaveLength(1);
  await world.pass(2);
  expect(world.ledger.attempts).toHaveLength(2);
});

it('begins a session again when the source fails, with pauses that grow up to a bound, and logs it once in ten seconds', async () => {
  const world = new ConsumerWorld();
  world.topic.add(0, 'a', '1');
  for (let index = 0; index < 8; index++) world.topic.failures.push(new Error('kafkaBroker: away.\nmore'));
  const { run, source } = world.node();
  await world.pass(0);
  expect(run.status()).toMatchObject({ state: 'retrying', reason: 'away' });
  await world.pass(9_000);
  expect(world.lines).toEqual(['Consumer memory: away. It is tried again.']);
  await world.pass(60_000);
  expect(source.sessions).toBe(9);
  expect(run.status()).toMatchObject({ state: 'working', counts: { published: 1 } });
});

/** A call of the application that answers when it is let, and how often it was called. */
function heldCall(): { calls: number; wait: () => Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const call = { calls: 0, wait: () => ((call.calls += 1), held), release };
  return call;
}

/** A topic of values of one channel. */
function filled(count: number): ConsumerWorld {
  const world = new ConsumerWorld();
  for (let index = 0; index < count; index++) world.topic.add(0, 'a', String(index));
  return world;
}

it('publishes and commits the record under way when it is closed, and calls `to` for none behind it (G34)', async () => {
  const world = filled(20);
  const to = heldCall();
  const { run, source } = world.node({
    to: async (record) => {
      if (record.offset === 1) await to.wait();
      return eventOf(record);
    },
  });
  await world.pass(10);
  const closed = run.close(5_000);
  await world.pass(4_000);
  expect([world.ledger.of('a'), to.calls, source.ended]).toEqual([[], 1, 0]);
  to.release();
  await closed;
  expect([world.ledger.of('a'), world.topic.committed]).toEqual([['0', '1'], [2]]);
  await world.pass();
  expect([world.ledger.of('a'), source.ended, world.lines]).toEqual([['0', '1'], 1, []]);
  expect(run.status()).toMatchObject({ state: 'closed' });
});

it('leaves a record whose `to` fails while it is closed to the next node: what `to` needs may be gone (G34)', async () => {
  for (const deadLetter of ['skip', 'stop'] as const) {
    const world = filled(3);
    const to = heldCall();
    const { run } = world.node({
      deadLetter,
      to: async (record) => {
        if (record.offset !== 1) return eventOf(record);
        await to.wait();
        throw new Error('the pool is closed');
      },
    });
    await world.pass(10);
    const closed = run.close(5_000);
    to.release();
    await world.pass(10);
    await closed;
    expect([world.ledger.of('a'), world.topic.committed, world.lines]).toEqual([['0'], [1], []]);
    expect(run.status().counts.dead).toBe(0);
  }
});

it('publishes nothing of what was under way in a partition that is another’s, and waits for no `to` of it (G34)', async () => {
  const world = filled(2);
  const to = heldCall();
  const { run, source } = world.node({
    to: async (record) => {
      await to.wait();
      return eventOf(record);
    },
  });
  await world.pass(10);
  source.lanes[0]?.end.end();
  await world.pass(0);
  expect([source.ended, to.calls]).toEqual([1, 1]);
  // The lane was lost before the close: the close changes nothing of that.
  const closed = run.close(5_000);
  to.release();
  await world.pass();
  await closed;
  expect([world.ledger.attempts.length, world.topic.committed]).toEqual([0, [0]]);
});

it('ends the session of its source although `to` or `deadLetter` hangs, once its time is over (G34)', async () => {
  for (const hanging of ['to', 'deadLetter'] as const) {
    const world = filled(1);
    const forever = new Promise<never>(() => undefined);
    const { run, source } = world.node({
      to: () => {
        if (hanging === 'to') return forever;
        throw new Error('no event');
      },
      deadLetter: () => forever,
    });
    await world.pass(10);
    const closed = run.close(5_000);
    await world.pass(4_999);
    expect(source.ended).toBe(0);
    await world.pass(1);
    await closed;
    await world.pass(0);
    expect([source.ended, world.topic.committed]).toEqual([1, [0]]);
    expect(world.lines.filter((line) => line.includes('is called once more'))).toEqual([]);
  }
});

it('commits a dead letter that is taken while it is closed, and gives none twice that is not (G34)', async () => {
  const refuse = (): never => {
    throw new Error('no event');
  };
  const world = filled(3);
  const letter = heldCall();
  const { run } = world.node({ to: refuse, deadLetter: () => letter.wait() });
  await world.pass(10);
  const closed = run.close(5_000);
  letter.release();
  await closed;
  expect([letter.calls, world.topic.committed]).toEqual([1, [1]]);

  const other = filled(3);
  const failing = heldCall();
  const node = other.node({ to: refuse, deadLetter: () => failing.wait().then(refuse) });
  await other.pass(10);
  const end = node.run.close(5_000);
  failing.release();
  await end;
  expect([failing.calls, other.topic.committed]).toEqual([1, [0]]);
});

it('leaves nothing behind at the end of its consumer for lanes and calls that are over', async () => {
  const [lane, asked, over] = [new AbortController(), new AbortController(), new AbortController()];
  const closing = { asked: asked.signal, over: over.signal };
  const time = new WorkTime(lane.signal, closing);
  expect(await time.within(Promise.resolve(7))).toBe(7);
  await expect(time.within(Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  time.dispose();
  for (const { signal } of [lane, asked, over]) expect(getEventListeners(signal, 'abort')).toEqual([]);
  expect(time.isOver).toBe(false);
  lane.abort();
  expect(new WorkTime(lane.signal, closing).isOver).toBe(true);
  asked.abort();
  expect(new WorkTime(lane.signal, closing).isOver).toBe(false);
  over.abort();
  const ended = new WorkTime(lane.signal, closing);
  expect(ended.isOver).toBe(true);
  await expect(ended.within(new Promise(() => undefined))).rejects.toThrow('is over');
});

it('is closed within its time although a publish does not end, and at once while it waits to try again', async () => {
  const world = new ConsumerWorld();
  world.topic.add(0, 'a', '1');
  const stuck = world.node({ to: () => new Promise(() => undefined) });
  await world.pass(10);
  const closed = stuck.run.close(5_000);
  await world.pass(4_999);
  expect(world.lines).toEqual([]);
  await world.pass(1);
  await closed;
  expect(world.lines).toEqual([
    'Consumer memory: what was under way did not end within 5000 ms; another node reads it once more.',
  ]);

  const waiting = new ConsumerWorld();
  waiting.topic.add(0, 'a', '1');
  waiting.ledger.fault = () => ({ when: 'before', error: new RealtimeError('unavailable') });
  const { run } = waiting.node();
  await waiting.pass(10_000);
  await run.close(5_000);
  expect(waiting.clock.pending).toBe(0);
});

it('is closed at once where it never began', async () => {
  const world = new ConsumerWorld();
  const { run } = world.node();
  await run.close(0);
  await run.close(0);
  expect(run.status()).toMatchObject({ state: 'closed' });
});

it('refuses options that cannot be, with the option and the remedy', () => {
  const to = (): null => null;
  const refused = (options: object): string => {
    try {
      consumeSettings({ to, ...options }, 'fromX', 'x');
      return '';
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      return (error as Error).message;
    }
  };
  expect(refused({ to: 'orders' })).toBe(
    'fromX: `to` is no function. Give one that makes { channel, event, payload } of a record, or null.',
  );
  expect(refused({ deadLetter: 'topic' })).toBe('fromX: `deadLetter` must be "stop", "skip" or a function.');
  for (const maxBatch of [0, 1.5, 10_001, '5'])
    expect(refused({ maxBatch })).toBe('fromX: `maxBatch` must be a whole number of 1 to 10000.');
  expect(refused({ maxBatchBytes: 1_023 })).toBe(
    'fromX: `maxBatchBytes` must be a whole number of at least 1024.',
  );
  for (const takeOverMs of [999, 300_001, 1_500.5])
    expect(refused({ takeOverMs })).toBe('fromX: `takeOverMs` must be a whole number of 1000 to 300000.');
  for (const name of ['', 'a\nb', 'x'.repeat(129)])
    expect(refused({ name })).toBe('fromX: `name` must have 1 to 128 characters that print.');
  expect(consumeSettings({ to }, 'fromX', 'x')).toEqual({
    ...{ name: 'x', to, deadLetter: 'stop' },
    ...{ maxBatch: 500, maxBatchBytes: 1_048_576, takeOverMs: 10_000 },
  });
});

it('gives ids of at most 64 characters that differ by source and by group', () => {
  const prefixes = [
    idPrefix('kafka', 'topic', 'group'),
    idPrefix('kafka', 'topic', 'other'),
    idPrefix('kafka', 'topicg', 'roup'),
    idPrefix('redis', 'topic', 'group'),
  ];
  expect(new Set(prefixes).size).toBe(4);
  expect(idPrefix('kafka', 'topic', 'group')).toBe(prefixes[0]);
  for (const prefix of prefixes)
    expect(`${prefix}:99999:${Number.MAX_SAFE_INTEGER}`.length).toBeLessThanOrEqual(64);
});

it('spreads pauses, from half to one and a half, so that nodes do not come together', async () => {
  const clock = new ManualClock();
  const pauses: number[] = [];
  for (const random of [0, 0.5, 0.999]) {
    const backoff = new Backoff(clock, { random: () => random });
    const { signal } = new AbortController();
    const waits = backoff.pause(signal);
    pauses.push(Math.round(clock.untilNext ?? -1));
    await clock.advanceAsync(10_000);
    await waits;
  }
  expect(pauses).toEqual([50, 100, 150]);
});

it('pauses are short again once something went well', async () => {
  const world = new ConsumerWorld();
  for (let index = 0; index < 20; index++) world.topic.add(0, 'a', String(index));
  world.topic.batch = 20;
  // Of each attempt at all that waits, the first goes well.
  let wasSent = false;
  world.ledger.fault = ({ id }) => {
    const isFirst = id === `m:0:${world.ledger.of('a').length}` && !wasSent;
    wasSent = isFirst;
    return isFirst ? undefined : { when: 'before', error: new RealtimeError('unavailable') };
  };
  world.node();
  await world.pass(20 * 150);
  expect(world.ledger.of('a')).toHaveLength(20);

  const other = new ConsumerWorld();
  for (let index = 0; index < 8; index++) other.topic.failures.push(new Error('away'));
  const { source } = other.node();
  await other.pass(60_000);
  expect(source.sessions).toBe(9);
  other.topic.commitFailures.set(0, new Error('away'));
  other.topic.add(0, 'a', '1');
  await other.pass(150);
  expect(source.sessions).toBe(10);
});

/** A session of a source that fails: how long it takes until it is ready, if ever, and how long it lasts then, in milliseconds. */
type Session = readonly [startMs: number, lastsMs?: number];

/** @returns pauses between sessions, in milliseconds, where none is spread. */
async function pausesBetween(sessions: readonly Session[]): Promise<readonly number[]> {
  const clock = new ManualClock();
  const left = [...sessions];
  const pauses: number[] = [];
  let endedAt: number | undefined;
  const source: RecordSource<string> = {
    lag: () => undefined,
    run: async (work, signal) => {
      if (endedAt !== undefined) pauses.push(Math.round(clock.monotonic() - endedAt));
      const [startMs, lastsMs] = left.shift() ?? [Infinity];
      await delay(clock, Math.min(startMs, 3_600_000), signal);
      if (lastsMs !== undefined) {
        work.onReady();
        await delay(clock, lastsMs, signal);
        // As sources say it that look for a lease.
        work.onReady();
      }
      endedAt = clock.monotonic();
      throw new Error('away');
    },
  };
  const settings = consumeSettings<string>({ to: () => null }, 'fromX', 'x');
  const entropy = Object.assign(new SeededEntropy(1), { random: () => 0.5 });
  const run = consumerOf(settings, () => source).open({
    ...{ clock, dedupeMs: 300_000, entropy, logger: new RecordingLogger() },
    prepare: () => {
      throw new Error('There is no record');
    },
  });
  run.start();
  for (let step = 0; step < 10_000 && pauses.length < sessions.length; step++) await clock.advanceAsync(50);
  await run.close(0);
  return pauses;
}

it('waits longer and longer between sessions that become ready and fail at once', async () => {
  const atOnce: readonly Session[] = Array.from({ length: 9 }, () => [0, 0]);
  expect(await pausesBetween(atOnce)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
});

it('waits shortly after a session that lasted for longer than the longest pause, counted from where it was ready', async () => {
  const sessions: readonly Session[] = [
    ...[[0, 0] as const, [0, 0] as const, [0, 7_500] as const],
    [20_000, 0],
    [0, 7_501],
    // Never ready: what was ready before says nothing of it.
    ...[[0] as const, [20_000] as const],
  ];
  expect(await pausesBetween(sessions)).toEqual([100, 200, 400, 800, 100, 200, 400]);
});

it('begins a session again also where no text can be made of its error', async () => {
  const world = new ConsumerWorld();
  world.topic.failures.push(Object.create(null) as Error);
  const { run, source } = world.node();
  await world.pass(0);
  expect(run.status()).toMatchObject({ state: 'retrying', reason: 'object' });
  await world.pass();
  expect([source.sessions, run.status().state]).toEqual([2, 'working']);
});

it('leaves nothing behind at a signal that outlives it', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const waits = delay(clock, 10, signal);
  const lane = new LaneEnd(signal);
  expect(getEventListeners(signal, 'abort')).toHaveLength(2);
  await clock.advanceAsync(10);
  await waits;
  lane.end();
  lane.end();
  expect(lane.signal.aborted).toBe(true);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('ends with its session, also one that had ended before', () => {
  const session = new AbortController();
  const lane = new LaneEnd(session.signal);
  expect(lane.signal.aborted).toBe(false);
  session.abort();
  expect([lane.signal.aborted, new LaneEnd(session.signal).signal.aborted]).toEqual([true, true]);
});

it('a lane that cannot be read for a while is seen in the state, with its reason, until it can (G34)', async () => {
  const world = new ConsumerWorld(2);
  const { run, source } = world.node();
  await world.pass();
  const [, lane] = source.lanes;
  if (lane === undefined) throw new Error('no lane');
  lane.trouble = 'partition 1 cannot be read: it has no leader';
  expect(run.status()).toMatchObject({ state: 'retrying', reason: lane.trouble });
  lane.trouble = undefined;
  expect(run.status().state).toBe('working');
  lane.trouble = 'of a lane that is over';
  lane.end.end();
  await world.pass();
  expect(run.status().reason ?? '').not.toContain('over');
});

it('a node that stood still for longer than its lease sends nothing of what it had read, and begins its session once more (G34)', async () => {
  const world = new ConsumerWorld();
  let isAway = true;
  world.ledger.fault = () =>
    isAway ? { when: 'before', error: new RealtimeError('unavailable') } : undefined;
  world.topic.add(0, 'a', '1');
  const { run, source } = world.node();
  await world.pass(1_000);
  const [lane] = source.lanes;
  if (lane === undefined) throw new Error('no lane');
  const { length } = world.ledger.attempts;
  expect([length > 0, source.sessions]).toEqual([true, 1]);
  isAway = false;
  lane.held = false;
  for (let step = 0; step < 200 && !lane.signal.aborted; step++) await world.pass(50);
  expect(lane.signal.aborted).toBe(true);
  expect(world.ledger.attempts).toHaveLength(length);
  expect(world.lines.at(-1)).toBe(
    "Consumer memory: partition 0 may be another node's, as this one stood still for longer than `takeOverMs`. It is tried again.",
  );
  await world.pass();
  expect([source.sessions, world.ledger.of('a'), run.status().state]).toEqual([2, ['1'], 'working']);
});
