import { expect, it } from '@jest/globals';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ConsumerWorld } from '../../support/consumers/consumer-world.js';
import { NodeLife } from '../../support/consumers/node-life.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';

const KEYS = ['a', 'b', 'c'];

/** Ten records in each of two partitions; a key has one partition, and its values ascend. */
function filled(): ConsumerWorld {
  const world = new ConsumerWorld(2);
  for (let index = 0; index < 20; index++) {
    const key = KEYS[index % KEYS.length] ?? 'a';
    world.topic.add(key === 'a' ? 0 : 1, key, String(index));
  }
  return world;
}

function expected(key: string): readonly string[] {
  return Array.from({ length: 20 }, (_, index) => index)
    .filter((index) => KEYS[index % KEYS.length] === key)
    .map(String);
}

function expectEachOnce(world: ConsumerWorld): void {
  expect(KEYS.map((key) => world.ledger.of(key))).toEqual(KEYS.map(expected));
  expect(world.topic.lag).toBe(0);
}

it('publishes each record once, in the order of its key, and commits it (G34)', async () => {
  const world = filled();
  const { run } = world.node();
  await world.pass();
  expectEachOnce(world);
  expect(run.status()).toMatchObject({
    state: 'working',
    lag: 0,
    counts: { published: 20, duplicate: 0, dead: 0 },
  });
  expect(world.ledger.attempts).toHaveLength(20);
});

it('publishes each record once wherever its node is killed: before or after an append, before or after a commit (G34)', async () => {
  const counted = new NodeLife();
  const whole = filled();
  whole.node({}, counted);
  await whole.pass();
  const kinds = new Set<string>();
  for (let step = 0; step < counted.steps.length; step++) {
    const world = filled();
    const life = new NodeLife(step);
    world.node({}, life);
    await world.pass();
    expect(life.isKilled).toBe(true);
    kinds.add(life.steps[step] ?? '');
    const next = world.node();
    await world.pass();
    expectEachOnce(world);
    const { published, duplicate } = next.run.status().counts;
    expect(published + duplicate).toBeLessThanOrEqual(20);
  }
  expect([...kinds].sort()).toEqual([
    'after append',
    'after commit',
    'before append',
    'before commit',
    'read',
  ]);
});

it('publishes each record once when nodes are killed one after the other in each step (G34)', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new SeededEntropy(seed);
    const world = filled();
    for (let kill = 0; kill < 5; kill++) {
      world.node({}, new NodeLife(random.int(30)));
      await world.pass();
    }
    world.node();
    await world.pass();
    expectEachOnce(world);
  }
});

it('keeps the order of a channel when some publishes of a batch fail and others do not (G34)', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededEntropy(seed);
    const world = filled();
    let left = 30;
    world.ledger.fault = () => {
      if (left === 0 || random.int(3) > 0) return undefined;
      left -= 1;
      const code = random.pick(['unavailable', 'timeout', 'rate_limited'] as const);
      // An append that fails with `timeout` may have been done.
      return {
        when: code === 'timeout' && random.int(2) === 0 ? 'after' : 'before',
        error: new RealtimeError(code),
      };
    };
    world.node();
    await world.pass(600_000);
    expectEachOnce(world);
  }
});

it('leaves a partition that was taken away, and its late commit is refused (G34)', async () => {
  const world = filled();
  let isHeld = true;
  world.ledger.fault = () =>
    isHeld ? { when: 'after', error: new RealtimeError('unavailable') } : undefined;
  const first = world.node();
  await world.pass(1_000);
  expect(first.run.status()).toMatchObject({ state: 'retrying', reason: 'publishes fail with unavailable' });

  const second = world.node();
  await world.pass(0);
  for (const lane of first.source.lanes) lane.end.end();
  await first.run.close(0);
  isHeld = false;
  await world.pass();
  expectEachOnce(world);
  // What the first has appended had no answer that it could commit.
  expect(first.run.status().counts.published).toBe(0);
  expect(second.run.status().counts.duplicate).toBeGreaterThan(0);
});

it('commits nothing under a place that is no more, although its publishes went well (G34)', async () => {
  const world = new ConsumerWorld();
  world.topic.add(0, 'a', '1');
  const first = world.node();
  // Another node has the partition, and the first does not know it yet.
  await world.pass(0);
  const second = world.node();
  await world.pass();
  world.topic.add(0, 'a', '2');
  await world.pass(2_000);
  expect(world.ledger.of('a')).toEqual(['1', '2']);
  expect(world.topic.committed).toEqual([2]);
  expect([first, second].map(({ source }) => source.sessions).sort()).toEqual([1, 2]);
});

it('sends again with the same id when an append has no answer, and warns when that lasts longer than ids are remembered (G34)', async () => {
  const world = new ConsumerWorld();
  world.dedupeMs = 10_000;
  world.topic.add(0, 'a', '1');
  let answers = false;
  world.ledger.fault = () => (answers ? undefined : { when: 'after', error: new RealtimeError('timeout') });
  const { run } = world.node();
  await world.pass(9_000);
  expect(world.lines.filter((line) => line.includes('twice'))).toEqual([]);
  await world.pass(12_000);
  expect(world.lines.filter((line) => line.includes('limits.dedupe'))).toHaveLength(1);
  answers = true;
  await world.pass();
  expect(world.ledger.of('a')).toEqual(['1']);
  expect(run.status()).toMatchObject({ state: 'working', counts: { published: 0, duplicate: 1 } });
});

it('counts a record as published whose event differs when it is read once more, and says so (G34)', async () => {
  const world = new ConsumerWorld();
  world.topic.add(0, 'a', '1');
  const tick = { count: 0 };
  const to = () => ({ channel: 'a', event: 'changed', payload: `${++tick.count}` });
  world.ledger.fault = () =>
    tick.count === 1 ? { when: 'after', error: new RealtimeError('timeout') } : undefined;
  const first = world.node({ to }, new NodeLife(2));
  await world.pass();
  expect(first.life.isKilled).toBe(true);
  const { run } = world.node({ to });
  await world.pass();
  expect(world.ledger.of('a')).toEqual(['1']);
  expect(run.status()).toMatchObject({ state: 'working', counts: { duplicate: 1, dead: 0 } });
  expect(world.lines.filter((line) => line.includes('another event than before'))).toHaveLength(1);
});

it('a publish without an answer long ago is no reason to warn of a later one (G34)', async () => {
  const world = new ConsumerWorld();
  world.dedupeMs = 10_000;
  const unanswered = new Set(['1']);
  world.ledger.fault = ({ payload }) =>
    unanswered.delete(String(payload)) ? { when: 'after', error: new RealtimeError('timeout') } : undefined;
  world.topic.add(0, 'a', '1');
  const { run } = world.node();
  await world.pass(20_000);
  unanswered.add('2');
  world.topic.add(0, 'a', '2');
  await world.pass();
  expect(run.status().counts).toMatchObject({ duplicate: 2 });
  expect(world.lines.filter((line) => line.includes('twice'))).toEqual([]);
});

it('a commit that fails in one partition begins the session again, and nothing is lost or doubled (G34)', async () => {
  const world = filled();
  world.topic.commitFailures.set(0, new Error('the source is away'));
  const { run, source } = world.node();
  await world.pass();
  expectEachOnce(world);
  expect(source.sessions).toBe(2);
  expect(run.status()).toMatchObject({ state: 'working', counts: { published: 20 } });
});
