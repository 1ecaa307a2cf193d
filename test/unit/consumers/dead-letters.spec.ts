import { expect, it } from '@jest/globals';
import type { DeadRecord } from '../../../lib/consumers/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ConsumerWorld, eventOf } from '../../support/consumers/consumer-world.js';
import type { MemoryRecord } from '../../support/consumers/memory-topic.js';

/** Values of one channel, of which one gives no event. */
function withBad(value = 'bad'): ConsumerWorld {
  const world = new ConsumerWorld(2);
  for (const each of ['1', '2', value, '3', '4', '5', '6']) world.topic.add(0, 'a', each);
  world.topic.add(1, 'b', '7');
  return world;
}

function refusing(record: MemoryRecord): ReturnType<typeof eventOf> {
  if (record.value === 'bad') throw new Error('secret 4711');
  return eventOf(record);
}

it('stops a partition at a record of which no event can be made: what is before it is committed, other partitions continue (G34)', async () => {
  const world = withBad();
  const { run } = world.node({ to: refusing });
  await world.pass();
  expect([world.ledger.of('a'), world.ledger.of('b')]).toEqual([['1', '2'], ['7']]);
  expect(world.topic.committed).toEqual([2, 1]);
  expect(run.status()).toMatchObject({
    state: 'stopped',
    reason: 'the record at m/0@2 cannot be published: an error of `to`',
    counts: { published: 3, dead: 1 },
  });
  expect(world.logger.at('error')).toHaveLength(1);
  // What `to` says may come from the record.
  expect(world.lines.join(' ')).not.toContain('4711');
  expect(world.logger.at('debug').some(({ message }) => message.includes('4711'))).toBe(true);
});

it('continues behind a stop once the application can make the event (G34)', async () => {
  const world = withBad();
  const stopped = world.node({ to: refusing });
  await world.pass();
  await stopped.run.close(1_000);
  expect(stopped.run.status().state).toBe('closed');
  world.node();
  await world.pass();
  expect(world.ledger.of('a')).toEqual(['1', '2', 'bad', '3', '4', '5', '6']);
  expect(world.topic.lag).toBe(0);
});

it('treats a record of which `to` makes neither an event nor null as such a record, and says what it returned (G34)', async () => {
  const wrong: [returned: unknown, kind: string][] = [
    [undefined, 'undefined'],
    ['text 4711', 'a string'],
    [[], 'an array'],
    [Buffer.from('4711'), 'bytes'],
    [0, 'a number'],
  ];
  for (const [returned, kind] of wrong) {
    const world = new ConsumerWorld();
    world.topic.add(0, 'a', '1');
    const { run } = world.node({ to: () => returned as null });
    await world.pass();
    const text = `\`to\` returned ${kind}: return { channel, event, payload }, or null where the record is no event`;
    expect(run.status()).toMatchObject({
      state: 'stopped',
      reason: `the record at m/0@0 cannot be published: ${text}`,
    });
    expect(world.lines.join(' ')).toContain(text);
    expect(world.lines.join(' ')).not.toContain('4711');

    const letters: unknown[] = [];
    await run.close(0);
    world.node({ to: async () => returned as null, deadLetter: ({ error }) => void letters.push(error) });
    await world.pass();
    expect(letters).toMatchObject([{ message: text }]);
    expect(letters[0]).toBeInstanceOf(TypeError);
    expect(world.topic.lag).toBe(0);
  }
});

it('skips such a record where the application says so, and counts it (G34)', async () => {
  const world = withBad();
  const { run } = world.node({ to: refusing, deadLetter: 'skip' });
  await world.pass();
  expect(world.ledger.of('a')).toEqual(['1', '2', '3', '4', '5', '6']);
  expect(world.topic.committed).toEqual([7, 1]);
  expect(run.status()).toMatchObject({ state: 'working', counts: { published: 7, dead: 1 } });
  expect(world.lines).toEqual([
    'Consumer memory: the record at m/0@2 cannot be published: an error of `to`.',
  ]);
});

it('hands such a record to the application until it is taken, and only then continues (G34)', async () => {
  const world = withBad();
  const letters: DeadRecord<MemoryRecord>[] = [];
  let calls = 0;
  const { run } = world.node({
    to: refusing,
    deadLetter: async (dead) => {
      calls += 1;
      if (calls < 3) throw new Error('the other topic is away');
      letters.push(dead);
    },
  });
  await world.pass(110);
  expect(run.status()).toMatchObject({ state: 'retrying', reason: '`deadLetter` fails' });
  expect([world.topic.committed, world.ledger.of('a')]).toEqual([
    [2, 1],
    ['1', '2'],
  ]);
  await world.pass();
  expect(letters).toMatchObject([
    { place: 'm/0@2', record: { value: 'bad', offset: 2 }, error: { message: 'secret 4711' } },
  ]);
  expect(world.ledger.of('a')).toEqual(['1', '2', '3', '4', '5', '6']);
  expect(run.status()).toMatchObject({ state: 'working', counts: { dead: 1 } });
});

it('treats what no channel takes and what the broker refuses for good as such a record (G34)', async () => {
  for (const code of ['message_too_large', 'unknown_channel'] as const) {
    const world = withBad();
    const letters: unknown[] = [];
    world.ledger.fault = ({ payload }) =>
      payload === 'bad' ? { when: 'before', error: new RealtimeError('message_too_large') } : undefined;
    world.node({
      to: (record) =>
        code === 'unknown_channel' && record.value === 'bad'
          ? { channel: 'unknown', event: 'x', payload: 1 }
          : eventOf(record),
      deadLetter: ({ error }) => void letters.push((error as RealtimeError).code),
    });
    await world.pass();
    expect(letters).toEqual([code]);
    expect(world.ledger.of('a')).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(world.topic.lag).toBe(0);
  }
});

it('treats an id of the application’s own that has other content as such a record (G34)', async () => {
  const world = new ConsumerWorld();
  for (const value of ['1', '2', '3']) world.topic.add(0, 'a', value);
  const { run } = world.node({
    to: (record) => ({ ...eventOf(record), id: record.value === '3' ? 'x3' : 'x1' }),
    deadLetter: 'skip',
  });
  await world.pass();
  expect(world.ledger.of('a')).toEqual(['1', '3']);
  const { dead, duplicate, published } = run.status().counts;
  // What was appended behind it before it was known is found there.
  expect([published + duplicate, dead]).toEqual([2, 1]);
});

it('calls `to` once more where its error says that it may work later, and loses nothing (G34)', async () => {
  const world = withBad();
  let left = 3;
  const { run } = world.node({
    to: async (record) => {
      if (record.value === 'bad' && left-- > 0) throw new RealtimeError('unavailable');
      return eventOf(record);
    },
  });
  await world.pass(50);
  expect(run.status()).toMatchObject({ state: 'retrying', reason: '`to` fails with unavailable' });
  expect(world.topic.committed[0]).toBe(2);
  await world.pass();
  expect(world.ledger.of('a')).toEqual(['1', '2', 'bad', '3', '4', '5', '6']);
  expect(run.status()).toMatchObject({ state: 'working', counts: { dead: 0, published: 8 } });
});

it('works again when `to` does, also where it makes no event then (G34)', async () => {
  const world = withBad();
  let left = 3;
  const { run } = world.node({
    to: (record) => {
      if (record.value !== 'bad') return eventOf(record);
      if (left-- > 0) throw new RealtimeError('timeout');
      return null;
    },
  });
  world.topic.batch = 1;
  await world.pass();
  expect(run.status()).toMatchObject({ state: 'working', counts: { ignored: 1, published: 7 } });
});

it('calls `to` once more where it does not answer (G34)', async () => {
  const world = new ConsumerWorld();
  world.topic.add(0, 'a', '1');
  let calls = 0;
  world.node({ to: (record) => (++calls === 1 ? new Promise(() => undefined) : eventOf(record)) });
  await world.pass(29_000);
  expect(world.ledger.of('a')).toEqual([]);
  await world.pass();
  expect([calls, world.ledger.of('a')]).toEqual([2, ['1']]);
});

it('commits records without an event, and counts them once (G34)', async () => {
  const world = withBad('skip me');
  const { run } = world.node({ to: (record) => (record.value === 'skip me' ? null : eventOf(record)) });
  await world.pass();
  expect(world.topic.committed).toEqual([7, 1]);
  expect(run.status().counts).toEqual({ published: 7, duplicate: 0, ignored: 1, dead: 0 });
});

it('commits a record that is skipped at the end, and counts what is ignored behind a refused one once (G34)', async () => {
  const world = new ConsumerWorld();
  for (const value of ['1', 'bad', 'none', 'bad']) world.topic.add(0, 'a', value);
  world.ledger.fault = ({ payload }) =>
    payload === 'bad' ? { when: 'before', error: new RealtimeError('message_too_large') } : undefined;
  const { run } = world.node({
    deadLetter: 'skip',
    to: (record) => (record.value === 'none' ? null : eventOf(record)),
  });
  await world.pass();
  expect(world.topic.committed).toEqual([4]);
  expect(run.status().counts).toEqual({ published: 1, duplicate: 0, ignored: 1, dead: 2 });
});

it('shows a stop before a retry, and neither when the partition is another’s (G34)', async () => {
  const world = new ConsumerWorld(2);
  world.topic.add(0, 'a', '1');
  let isMended = false;
  world.ledger.fault = () =>
    isMended ? undefined : { when: 'before', error: new RealtimeError('unavailable') };
  const { run, source } = world.node({ to: (record) => (isMended ? eventOf(record) : refusing(record)) });
  await world.pass(500);
  world.topic.add(1, 'b', 'bad');
  await world.pass(500);
  expect(run.status()).toMatchObject({ state: 'stopped', reason: expect.stringContaining('m/1@0') });
  isMended = true;
  for (const lane of source.lanes) lane.end.end();
  await world.pass();
  expect(run.status()).toMatchObject({ state: 'working' });
  expect([world.ledger.of('a'), world.ledger.of('b')]).toEqual([['1'], ['bad']]);
});

it('logs and counts a record that stops a partition once, however often its session begins again (G34)', async () => {
  const world = withBad();
  world.topic.add(1, 'b', 'bad');
  const { run, source } = world.node({ to: refusing });
  await world.pass();
  const seen = (): unknown => [source.sessions, run.status().counts.dead, world.logger.at('error').length];
  expect(seen()).toEqual([1, 2, 2]);
  for (let session = 2; session < 5; session++) {
    for (const lane of source.lanes) lane.end.end();
    await world.pass(10_000);
    expect(seen()).toEqual([session, 2, 2]);
    expect(run.status()).toMatchObject({ state: 'stopped', reason: expect.stringContaining('m/0@2') });
  }
  // Another record of the same partition is another stop.
  for (const value of ['8', 'bad', '9']) world.topic.add(0, 'a', value);
  world.topic.committed[0] = 8;
  for (const lane of source.lanes) lane.end.end();
  await world.pass();
  expect(seen()).toEqual([5, 3, 3]);
  expect(world.topic.committed).toEqual([8, 1]);
});

it('what is committed in another partition changes nothing of that (G34)', async () => {
  const world = withBad();
  const { run, source } = world.node({ to: refusing });
  await world.pass();
  world.topic.add(1, 'b', '8');
  await world.pass();
  expect(world.topic.committed).toEqual([2, 2]);
  for (const lane of source.lanes) lane.end.end();
  await world.pass();
  expect([source.sessions, run.status().counts.dead, world.logger.at('error').length]).toEqual([2, 1, 1]);
});

it('logs and counts a record that stops a partition once more after it was dealt with (G34)', async () => {
  const world = withBad();
  let isMended = false;
  const { run, source } = world.node({ to: (record) => (isMended ? eventOf(record) : refusing(record)) });
  const again = async (): Promise<unknown> => {
    for (const lane of source.lanes) lane.end.end();
    await world.pass();
    return [world.topic.committed[0], run.status().counts.dead, world.logger.at('error').length];
  };
  await world.pass();
  isMended = true;
  expect(await again()).toEqual([7, 1, 1]);
  isMended = false;
  // Somebody has set its offset back.
  world.topic.committed[0] = 2;
  expect(await again()).toEqual([2, 2, 2]);
});

it('logs of what `to` and `deadLetter` throw 200 characters in one line, whatever they throw (G34)', async () => {
  const long = `first\nsecond ${'x'.repeat(100_000)}`;
  // Of the last one no text can be made.
  for (const thrown of [new Error(long), long, Object.create(null) as object]) {
    const world = withBad();
    let calls = 0;
    const fail = (): never => {
      throw thrown as Error;
    };
    const { run, source } = world.node({
      to: (record) => (record.value === 'bad' ? fail() : eventOf(record)),
      deadLetter: () => ((calls += 1) === 1 ? fail() : undefined),
    });
    await world.pass();
    expect([calls, source.sessions]).toEqual([2, 1]);
    expect(world.ledger.of('a')).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(run.status()).toMatchObject({ state: 'working', counts: { dead: 1 } });
    const lines = world.logger.at('debug').map(({ message }) => message);
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line.length).toBeLessThan(350);
      expect(line).not.toContain('\n');
      if (thrown instanceof Error || typeof thrown === 'string') expect(line).toContain('first\\nsecond');
    }
  }
});
