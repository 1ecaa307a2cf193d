import { ids, range, type ContractContext } from './context.js';
import type { ContractNode } from './harness.js';

/** `log.erase`: nothing but the place is left of an event, on every node. */
export function eraseContract(context: ContractContext): void {
  const { it, expect } = context;

  async function erase(node: ContractNode, channel: string, seqs: readonly number[]) {
    const { log } = node.broker;
    if (log.erase === undefined) throw new Error('The factory declares erases, its broker lacks log.erase');
    return await log.erase({ channel, seqs });
  }

  async function read(node: ContractNode, channel: string): Promise<readonly string[]> {
    return (await context.log(node, channel)).map(({ id }) => id);
  }

  it('leaves the place of an erased event and nothing of its content, on every node, in either direction (P10, P31, G29)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const [first] = await context.append(left, channel, ids('e', 3));
    await context.append(left, channel, ids('f', 3));
    const before = await context.log(right, channel);
    const tip = await context.tip(left, channel);
    for (const seqs of [[2], [5], [1], [6], [3, 4]])
      expect(await erase(left, channel, seqs)).toEqual({ tip, seqs });
    const after = await context.log(right, channel);
    expect(after.map(({ seq }) => seq)).toEqual(range(1, 6));
    expect(after.map(({ ts, epoch }) => ({ ts, epoch }))).toEqual(
      before.map(({ ts }) => ({ ts, epoch: first?.epoch })),
    );
    for (const { seq, id, event, payload, user, key, meta, isReadable } of after)
      expect({ id, event, payload, user, key, meta, isReadable }).toEqual({
        id: `erased-${seq}`,
        event: '$erased',
        payload: { seqs: [seq] },
        isReadable: true,
      });
    const page = await right.broker.log.read({ channel, from: 1, limit: 9, reverse: true });
    expect(page.events.map(({ id }) => id)).toEqual([6, 5, 4, 3, 2, 1].map((seq) => `erased-${seq}`));
  });

  it('leaves the others as they were, appended together or apart, and continues the numbers (P10, P31)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await context.append(left, channel, ids('a', 3));
    for (const id of ids('b', 3)) await context.append(left, channel, [id]);
    await erase(right, channel, [2, 4]);
    expect(await context.append(left, channel, ['next'])).toMatchObject([{ seq: 7 }]);
    const log = ['a1', 'erased-2', 'a3', 'erased-4', 'b2', 'b3', 'next'];
    expect(await read(left, channel)).toEqual(log);
    expect(await read(right, channel)).toEqual(log);
    const read4 = await right.broker.log.read({ channel, from: 4, until: 5, limit: 9 });
    expect(read4.events.map(({ id }) => id)).toEqual(['erased-4', 'b2']);
  });

  it('erases the same again, and passes over what it does not keep (P31)', async () => {
    const node = await context.node();
    const [channel, unwritten] = [context.channel(), context.channel()];
    await context.append(node, channel, ids('e', 4), { size: 2 });
    const tip = await context.tip(node, channel);
    expect(await erase(node, channel, [1, 4, 9])).toEqual({ tip, seqs: [4] });
    expect(await erase(node, channel, [1, 4, 9])).toEqual({ tip, seqs: [4] });
    expect(await read(node, channel)).toEqual(['e3', 'erased-4']);
    expect(await erase(node, unwritten, [1])).toEqual({ tip: await context.tip(node, unwritten), seqs: [] });
  });

  it('trims erased events as any others, and keeps no more than it kept (P11, P31)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const policy = { size: 4 };
    for (const id of ids('e', 4)) await context.append(node, channel, [id], policy);
    await erase(node, channel, [1, 3]);
    for (const id of ['f1', 'f2']) await context.append(node, channel, [id], policy);
    expect(await read(node, channel)).toEqual(['erased-3', 'e4', 'f1', 'f2']);
    const requests = ids('g', 3).map((id) =>
      context.request(channel, id, { payload: 'x'.repeat(400), bytes: 400, policy: { maxBytes: 1_000 } }),
    );
    await node.broker.log.appendMany(requests);
    expect(await read(node, channel)).toEqual(['g2', 'g3']);
    await erase(node, channel, [9]);
    const next = context.request(channel, 'h', { payload: 'x', bytes: 400, policy: { maxBytes: 1_000 } });
    await node.broker.log.appendMany([next]);
    // Whether what is left of an event counts as much as the event did is the broker's.
    expect((await read(node, channel)).slice(-2)).toEqual(['erased-9', 'h']);
  });

  it('erases many events of a long log, the first and the last (P31, G29)', async () => {
    const node = await context.node();
    const channel = context.channel();
    await context.append(node, channel, ids('e', 400));
    for (const id of ids('f', 200)) await context.append(node, channel, [id]);
    const seqs = [1, ...range(300, 500), 600];
    expect((await erase(node, channel, seqs)).seqs).toEqual(seqs);
    const log = await context.log(node, channel);
    expect(log.map(({ seq }) => seq)).toEqual(range(1, 600));
    expect(log.filter(({ isErased }) => isErased).map(({ seq }) => seq)).toEqual(seqs);
  });

  if (context.capabilities.dedupes)
    it('recognizes a retry of an erased event as a duplicate (P15, P31)', async () => {
      const node = await context.node();
      const channel = context.channel();
      const [position] = await context.append(node, channel, ['a']);
      await erase(node, channel, [1]);
      expect(await node.broker.log.appendMany([context.request(channel, 'a')])).toEqual([
        { ok: true, position, duplicate: true },
      ]);
      expect(await read(node, channel)).toEqual(['erased-1']);
    });

  if (context.can('restart'))
    it('keeps events erased over a restart of the storage, and erases in the log behind it (G6, G29)', async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await context.append(left, channel, ids('e', 3));
      const before = await context.tip(left, channel);
      await erase(left, channel, [2]);
      await context.fault('restart')();
      await context.eventually(async () =>
        expect(await read(right, channel)).toEqual(['e1', 'erased-2', 'e3']),
      );
      await context.eventually(async () => expect((await erase(right, channel, [3])).seqs).toEqual([3]));
      const position = { channel, epoch: before.epoch, from: 3, limit: 9 };
      // A node may be away for longer than the other.
      await context.eventually(async () =>
        expect(await left.broker.log.read(position)).toMatchObject({
          continuous: true,
          events: [{ seq: 3, id: 'erased-3' }],
        }),
      );
    });
}
