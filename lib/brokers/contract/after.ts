import { ids, range, type ContractContext } from './context.js';

const OUT_OF_ORDER = { ok: false, code: 'out_of_order' };

/** `after`: an append that names the publish it follows. */
export function afterContract(context: ContractContext): void {
  const { it, expect } = context;

  it('P16 appends after the publish that `after` names, in the same batch, the next call and on another node', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const batch = await left.broker.log.appendMany([
      context.request(channel, 'a'),
      context.request(channel, 'b', { after: 'a' }),
    ]);
    const next = await left.broker.log.appendMany([context.request(channel, 'c', { after: 'b' })]);
    const other = await right.broker.log.appendMany([context.request(channel, 'd', { after: 'c' })]);
    expect([...batch, ...next, ...other]).toMatchObject(
      range(1, 4).map((seq) => ({ ok: true, position: { seq } })),
    );
  });

  it('P16 fails while the named publish is not in the log, and appends nothing', async () => {
    const node = await context.node();
    const channel = context.channel();
    expect(await node.broker.log.appendMany([context.request(channel, 'b', { after: 'a' })])).toEqual([
      OUT_OF_ORDER,
    ]);
    expect((await context.tip(node, channel)).seq).toBe(0);

    await context.append(node, channel, ['a']);
    expect(await node.broker.log.appendMany([context.request(channel, 'b', { after: 'a' })])).toMatchObject([
      { ok: true, duplicate: false, position: { seq: 2 } },
    ]);
  });

  it('P16 a pipeline whose first fails fails as a whole, and succeeds in order when it is sent again', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const names = ids('e', 10);
    const pipeline = names.map((id, index) =>
      context.request(channel, id, index === 0 ? {} : { after: names[index - 1] ?? '' }),
    );
    const failed = await left.broker.log.appendMany([
      ...pipeline.slice(1),
      context.request(channel, 'other', { producer: 'u2' }),
    ]);
    expect(failed.slice(0, -1)).toEqual(pipeline.slice(1).map(() => OUT_OF_ORDER));
    expect(failed.at(-1)).toMatchObject({ ok: true });

    const retried = await Promise.all(pipeline.map((request) => right.broker.log.appendMany([request])));
    expect(retried.flat().every((outcome) => outcome.ok)).toBe(true);
    expect((await context.log(left, channel)).map((event) => event.id)).toEqual(['other', ...names]);
  });

  it('P16 does not take the id of another producer, or of another channel, for the named one', async () => {
    const node = await context.node();
    const [channel, other] = [context.channel(), context.channel()];
    await node.broker.log.appendMany([
      context.request(channel, 'a', { producer: 'u2' }),
      context.request(other, 'a'),
    ]);
    expect(await node.broker.log.appendMany([context.request(channel, 'b', { after: 'a' })])).toEqual([
      OUT_OF_ORDER,
    ]);
  });

  it('P16 a retry counts as the named publish', async () => {
    const node = await context.node();
    const channel = context.channel();
    await context.append(node, channel, ['a']);
    const outcomes = await node.broker.log.appendMany([
      context.request(channel, 'a'),
      context.request(channel, 'b', { after: 'a' }),
    ]);
    expect(outcomes).toMatchObject([
      { ok: true, duplicate: true },
      { ok: true, duplicate: false, position: { seq: 2 } },
    ]);
  });

  it('P16 the named publish counts although its event was trimmed, or never kept', async () => {
    const node = await context.node();
    const [small, unkept] = [context.channel(), context.channel()];
    await context.append(node, small, ['a', 'b', 'c'], { size: 1 });
    await context.append(node, unkept, ['a', 'b'], { retain: false });
    const outcomes = await node.broker.log.appendMany([
      context.request(small, 'd', { after: 'a', policy: { size: 1 } }),
      context.request(unkept, 'd', { after: 'a', policy: { retain: false } }),
    ]);
    expect(outcomes).toMatchObject([{ ok: true }, { ok: true }]);
  });

  it('P16 P15 a publish that is remembered is a duplicate although the one before it is forgotten', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { dedupeMs, slackMs } = context.windows;
    const afterA = (id: string) => context.request(channel, id, { after: 'a', policy: { dedupeMs } });
    await context.append(node, channel, ['a'], { dedupeMs });
    await context.harness.advance(dedupeMs * 0.5);
    const [first] = await node.broker.log.appendMany([afterA('b')]);
    await context.harness.advance(dedupeMs * 0.5 + slackMs);
    const outcomes = await node.broker.log.appendMany([afterA('b'), afterA('c')]);
    expect(first).toMatchObject({ ok: true, position: { seq: 2 } });
    expect(outcomes).toEqual([{ ...first, duplicate: true }, OUT_OF_ORDER]);
  });
}
