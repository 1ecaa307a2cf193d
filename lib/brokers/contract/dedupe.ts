import { ids, positionsOf, range, type ContractContext } from './context.js';

/** Retries under the same id: recognized within the window, refused when they conflict. */
export function dedupeContract(context: ContractContext): void {
  const { it, expect } = context;

  it('P15 returns the first result for a retried id, and appends nothing', async () => {
    const node = await context.node();
    const channel = context.channel();
    const [first] = await node.broker.log.appendMany([context.request(channel, 'a')]);
    await context.append(node, channel, ['b', 'c']);
    const [again] = await node.broker.log.appendMany([context.request(channel, 'a')]);
    expect(first).toMatchObject({ ok: true, duplicate: false });
    expect(again).toEqual({ ...first, duplicate: true });
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(['a', 'b', 'c']);
  });

  it('P15 G4 recognises a retry on another node', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const [first] = await left.broker.log.appendMany([context.request(channel, 'a')]);
    const [again] = await right.broker.log.appendMany([context.request(channel, 'a')]);
    expect(again).toEqual({ ...first, duplicate: true });
  });

  it('G4 appends once what two nodes append at once', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    for (const id of ids('e', 25)) {
      const request = context.request(channel, id);
      const outcomes = await Promise.all(
        [left, right, left].map(async ({ broker }) => (await broker.log.appendMany([request]))[0]),
      );
      expect(outcomes.filter((outcome) => outcome?.ok === true && !outcome.duplicate)).toHaveLength(1);
      const positions = outcomes.map((outcome) => (outcome?.ok === true ? outcome.position.seq : undefined));
      expect(new Set(positions).size).toBe(1);
    }
    expect((await context.log(left, channel)).map((event) => event.seq)).toEqual(range(1, 25));
  });

  it('G4 a retry is not delivered again', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    await context.append(left, channel, ['a']);
    await context.append(left, channel, ['a']);
    await context.append(left, channel, ['b']);
    await context.harness.quiet();
    expect(right.seen.eventsOf(channel).map((event) => event.id)).toEqual(['a', 'b']);
  });

  it('P15 recognises a retry inside its own batch', async () => {
    const node = await context.node();
    const channel = context.channel();
    const outcomes = await node.broker.log.appendMany(
      ['a', 'b', 'a'].map((id) => context.request(channel, id)),
    );
    expect(positionsOf(outcomes).map((position) => position.seq)).toEqual([1, 2, 1]);
    expect(outcomes.map((outcome) => outcome.ok && outcome.duplicate)).toEqual([false, false, true]);
  });

  for (const field of ['payload', 'event']) {
    it(`P15 the same id with another ${field} is a conflict, and nothing is appended`, async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await context.append(left, channel, ['a']);
      const outcomes = await right.broker.log.appendMany([
        context.request(channel, 'a', { [field]: 'other' }),
      ]);
      expect(outcomes).toEqual([{ ok: false, code: 'conflict' }]);
      expect((await context.log(left, channel)).map((event) => event.payload)).toEqual([{ id: 'a' }]);
      expect((await left.broker.log.appendMany([context.request(channel, 'a')]))[0]).toMatchObject({
        ok: true,
        duplicate: true,
      });
    });
  }

  it('P15 the same id of another producer, or in another channel, is another publish', async () => {
    const node = await context.node();
    const [channel, other] = [context.channel(), context.channel()];
    const outcomes = await node.broker.log.appendMany([
      context.request(channel, 'a'),
      context.request(channel, 'a', { producer: 'u2', payload: 'other' }),
      context.request(other, 'a', { payload: 'other' }),
    ]);
    expect(positionsOf(outcomes).map((position) => position.seq)).toEqual([1, 2, 1]);
  });

  it('P15 takes no producer and id for another pair with the same letters', async () => {
    const node = await context.node();
    const channel = context.channel();
    const pairs = [
      ['u', 'x:y'],
      ['u:x', 'y'],
      ['u:', 'x:y'],
      ['', 'u:x:y'],
      ['u\n', 'x'],
      ['u', '\nx'],
      ['1:u', 'x'],
      ['1', ':ux'],
      ['u\u0000', 'x'],
      ['u', '\u0000x'],
    ] as const;
    const outcomes = await node.broker.log.appendMany(
      pairs.map(([producer, id]) => context.request(channel, id, { producer })),
    );
    expect(positionsOf(outcomes).map((position) => position.seq)).toEqual(range(1, pairs.length));
  });

  it('P15 forgets an id after its window', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { dedupeMs, slackMs } = context.windows;
    const other = () => context.request(channel, 'a', { payload: 'new', policy: { dedupeMs } });
    await context.append(node, channel, ['a'], { dedupeMs });
    await context.harness.advance(dedupeMs + slackMs);
    const [again] = await node.broker.log.appendMany([other()]);
    expect(again).toMatchObject({ ok: true, duplicate: false, position: { seq: 2 } });
    const [retry] = await node.broker.log.appendMany([other()]);
    expect(retry).toEqual({ ...again, duplicate: true });
  });

  it('P15 a retry does not make the window longer', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { dedupeMs, slackMs } = context.windows;
    const retry = async () =>
      (await node.broker.log.appendMany([context.request(channel, 'a', { policy: { dedupeMs } })]))[0];
    await context.append(node, channel, ['a'], { dedupeMs });
    await context.harness.advance(dedupeMs * 0.6);
    expect(await retry()).toMatchObject({ duplicate: true });
    await context.harness.advance(dedupeMs * 0.4 + slackMs);
    expect(await retry()).toMatchObject({ duplicate: false });
  });

  it('P15 remembers ids longer than it keeps their events', async () => {
    const node = await context.node();
    const channel = context.channel();
    await context.append(node, channel, ['a', 'b', 'c', 'd'], { size: 1 });
    const [again] = await node.broker.log.appendMany([
      context.request(channel, 'a', { policy: { size: 1 } }),
    ]);
    expect(again).toMatchObject({ ok: true, duplicate: true, position: { seq: 1 } });
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(['d']);
  });

  it('P15 P27 remembers ids in a log that keeps nothing', async () => {
    const node = await context.node();
    const channel = context.channel();
    await context.append(node, channel, ['a', 'b'], { retain: false });
    const [again] = await node.broker.log.appendMany([
      context.request(channel, 'a', { policy: { retain: false } }),
    ]);
    expect(again).toMatchObject({ ok: true, duplicate: true, position: { seq: 1 } });
    expect((await context.tip(node, channel)).seq).toBe(2);
  });

  it('P15 a window of 0 remembers nothing', async () => {
    const node = await context.node();
    const channel = context.channel();
    const positions = await context.append(node, channel, ['a', 'a', 'a'], { dedupeMs: 0 });
    expect(positions.map((position) => position.seq)).toEqual([1, 2, 3]);
  });

  it('P15 the items of a batch succeed and fail each on its own', async () => {
    const node = await context.node();
    const channel = context.channel();
    await context.append(node, channel, ['a']);
    const outcomes = await node.broker.log.appendMany([
      context.request(channel, 'b'),
      context.request(channel, 'a', { payload: 'other' }),
      context.request(channel, 'a'),
      context.request(channel, 'c', { after: 'never' }),
      context.request(channel, 'd'),
    ]);
    expect(outcomes).toMatchObject([
      { ok: true, duplicate: false, position: { seq: 2 } },
      { ok: false, code: 'conflict' },
      { ok: true, duplicate: true, position: { seq: 1 } },
      { ok: false, code: 'out_of_order' },
      { ok: true, duplicate: false, position: { seq: 3 } },
    ]);
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(['a', 'b', 'd']);
  });
}
