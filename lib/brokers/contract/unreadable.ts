import type { ReadRequest } from '../../core/ports/broker.js';
import { ids, range, type ContractContext } from './context.js';
import type { ContractNode } from './harness.js';

/** Stored events that can no longer be read: each keeps its place, and costs nobody anything else. */
export function unreadableContract(context: ContractContext): void {
  const { it, expect } = context;

  /** Nodes over a log of `e1` to `e5` in which the events of `seqs` cannot be read. */
  async function spoiled(...seqs: readonly number[]) {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    for (const id of ids('e', 5)) await context.append(left, channel, [id]);
    const tip = await context.tip(left, channel);
    for (const seq of seqs) await context.fault('spoilEvent')(channel, seq);
    return { left, right, channel, tip };
  }

  /** Each event of a read: its id, or its `seq` where it cannot be read. */
  async function read(node: ContractNode, request: ReadRequest): Promise<readonly (string | number)[]> {
    const { events } = await node.broker.log.read(request);
    return events.map((event) => (event.isReadable ? event.id : event.seq));
  }

  it('returns an event that it cannot read as unreadable at its place, and the others as they are (P25f)', async () => {
    const { left, right, channel, tip } = await spoiled(3);
    for (const node of [left, right]) {
      const page = await node.broker.log.read({ channel, epoch: tip.epoch, from: 1, limit: 9 });
      expect(page).toMatchObject({ tip, continuous: true, oldest: 1 });
      expect(page.events.map(({ seq }) => seq)).toEqual(range(1, 5));
      expect(page.events[2]).toMatchObject({ channel, epoch: tip.epoch, seq: 3 });
      const request = { channel, epoch: tip.epoch, limit: 9 };
      expect(await read(node, { ...request, from: 1 })).toEqual(['e1', 'e2', 3, 'e4', 'e5']);
      expect(await read(node, { ...request, from: 1, reverse: true })).toEqual(['e5', 'e4', 3, 'e2', 'e1']);
    }
  });

  it('reads on behind unreadable events, one, several or the last, however short its pages are (P25f, G8)', async () => {
    for (const seqs of [[1], [2, 3], [5], range(1, 5)]) {
      const { right, channel } = await spoiled(...seqs);
      const all = ids('e', 5).map((id, index) => (seqs.includes(index + 1) ? index + 1 : id));
      expect(await read(right, { channel, from: 1, limit: 9 })).toEqual(all);
      for (const seq of range(1, 5)) {
        const one = [all[seq - 1]];
        expect(await read(right, { channel, from: seq, limit: 1 })).toEqual(one);
        expect(await read(right, { channel, from: seq, until: seq, limit: 9 })).toEqual(one);
        expect(await read(right, { channel, from: 1, until: seq, reverse: true, limit: 1 })).toEqual(one);
      }
    }
  });

  it('appends and pushes behind an unreadable event, and continues its numbers (P10, P25f)', async () => {
    const { left, right, channel, tip } = await spoiled(5);
    expect(await right.broker.log.subscribe(channel)).toEqual(tip);
    expect(await context.append(left, channel, ['next'])).toEqual([{ epoch: tip.epoch, seq: 6 }]);
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([6]));
    expect(await read(right, { channel, from: 4, limit: 9 })).toEqual(['e4', 5, 'next']);
  });
}
