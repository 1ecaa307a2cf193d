import type { ReadResult } from '../../core/ports/broker.js';
import { ids, range, type ContractContext } from './context.js';

const seqs = (result: ReadResult) => result.events.map((event) => event.seq);

/** Ranged reads, tips, and which positions are continuous. */
export function readContract(context: ContractContext): void {
  const { it, expect } = context;

  async function filled(count: number, policy = {}) {
    const node = await context.node();
    const channel = context.channel();
    await context.append(node, channel, ids('e', count), policy);
    return { node, channel, tip: await context.tip(node, channel) };
  }

  it('accepts the tip on every node as a position with nothing after it (P10, P13)', async () => {
    const { channel, tip } = await filled(5);
    const other = await context.node();
    const result = await other.broker.log.read({ channel, epoch: tip.epoch, from: 6, limit: 10 });
    expect(result).toEqual({ tip, continuous: true, oldest: 1, events: [] });
  });

  it('continues a position inside the log in order, without gap or repeat (P10, P12)', async () => {
    const { node, channel, tip } = await filled(9);
    const result = await node.broker.log.read({ channel, epoch: tip.epoch, from: 4, limit: 100 });
    expect(result).toMatchObject({ tip, continuous: true, oldest: 1 });
    expect(seqs(result)).toEqual(range(4, 9));
    expect(result.events.every((event) => event.epoch === tip.epoch)).toBe(true);
  });

  it('accepts the start of a log as a position, also of an empty log (P10)', async () => {
    const { node, channel, tip } = await filled(3);
    expect(seqs(await node.broker.log.read({ channel, epoch: tip.epoch, from: 1, limit: 9 }))).toEqual([
      1, 2, 3,
    ]);
    const empty = context.channel();
    const start = await context.tip(node, empty);
    expect(await node.broker.log.read({ channel: empty, epoch: start.epoch, from: 1, limit: 9 })).toEqual({
      tip: start,
      continuous: true,
      oldest: 1,
      events: [],
    });
  });

  it('reports a position beyond the tip as not continuous (P10, G6)', async () => {
    const { node, channel, tip } = await filled(3);
    expect(await node.broker.log.read({ channel, epoch: tip.epoch, from: 5, limit: 9 })).toEqual({
      tip,
      continuous: false,
      oldest: 1,
      events: [],
    });
  });

  for (const from of [1, 3, 4]) {
    it(`reports a position of an unknown epoch as not continuous (from ${from}) (P10, G6)`, async () => {
      const { node, channel, tip } = await filled(3);
      const result = await node.broker.log.read({ channel, epoch: `${tip.epoch}x`, from, limit: 9 });
      expect(result).toMatchObject({ tip, continuous: false, events: [] });
    });
  }

  it('reports history that was trimmed by size as continuous, and returns the oldest seq that is left (P11)', async () => {
    const { node, channel, tip } = await filled(25, { size: 10 });
    const result = await node.broker.log.read({ channel, epoch: tip.epoch, from: 3, limit: 100 });
    expect(result).toMatchObject({ tip: { seq: 25 }, continuous: true });
    expect(result.oldest).toBe(16);
    expect(seqs(result)).toEqual(range(16, 25));
  });

  it('reports history that was trimmed by age as continuous, and continues its numbers although nothing is left (P11)', async () => {
    const { ttlMs, slackMs } = context.windows;
    const { node, channel, tip } = await filled(4, { ttlMs });
    await context.harness.advance(ttlMs + slackMs);
    expect(await node.broker.log.read({ channel, epoch: tip.epoch, from: 2, limit: 9 })).toEqual({
      tip,
      continuous: true,
      oldest: 5,
      events: [],
    });
    expect(await context.append(node, channel, ['next'], { ttlMs })).toEqual([{ epoch: tip.epoch, seq: 5 }]);
    expect(seqs(await node.broker.log.read({ channel, from: 1, limit: 9 }))).toEqual([5]);
  });

  it('trims by age only the events that are too old (P11)', async () => {
    const { ttlMs, slackMs } = context.windows;
    const { node, channel } = await filled(3, { ttlMs });
    await context.harness.advance(ttlMs * 0.6);
    await context.append(node, channel, ['x', 'y'], { ttlMs });
    await context.harness.advance(ttlMs * 0.4 + slackMs);
    const result = await node.broker.log.read({ channel, from: 1, limit: 9 });
    expect(result.oldest).toBe(4);
    expect(seqs(result)).toEqual([4, 5]);
  });

  it('reports a log that keeps nothing as continuous at its tip, and empty (P27)', async () => {
    const { node, channel, tip } = await filled(3, { retain: false });
    const at = (from: number) => node.broker.log.read({ channel, epoch: tip.epoch, from, limit: 9 });
    expect(await at(4)).toEqual({ tip, continuous: true, oldest: 4, events: [] });
    expect(await at(2)).toEqual({ tip, continuous: true, oldest: 4, events: [] });
    expect(await at(5)).toMatchObject({ continuous: false });
  });

  it('leaves no gap in the kept events when retention is switched off and on again (P27, G3)', async () => {
    const { node, channel } = await filled(3);
    await context.append(node, channel, ['unkept'], { retain: false });
    await context.append(node, channel, ['x', 'y']);
    const result = await node.broker.log.read({ channel, from: 1, limit: 9 });
    expect(result.oldest).toBe(5);
    expect(seqs(result)).toEqual([5, 6]);
  });

  it('never returns more than `limit` events; pages join without gap or repeat (G8)', async () => {
    const { node, channel, tip } = await filled(53);
    const read: number[] = [];
    for (let from = 1; from <= tip.seq;) {
      const page = seqs(await node.broker.log.read({ channel, epoch: tip.epoch, from, limit: 10 }));
      expect(page.length).toBeLessThanOrEqual(10);
      read.push(...page);
      // Ends the loop although a broker gives the same page again and again.
      from = Math.max(from, page.at(-1) ?? Infinity) + 1;
    }
    expect(read).toEqual(range(1, 53));
  });

  it('treats `from` and `until` as inclusive (P5)', async () => {
    const { node, channel } = await filled(9);
    const between = async (from: number, until: number) =>
      seqs(await node.broker.log.read({ channel, from, until, limit: 100 }));
    expect(await between(3, 6)).toEqual([3, 4, 5, 6]);
    expect(await between(4, 4)).toEqual([4]);
    expect(await between(6, 5)).toEqual([]);
    expect(await between(8, 400)).toEqual([8, 9]);
  });

  it('reads down from `until` with `reverse`; pages join (P5)', async () => {
    const { node, channel } = await filled(9);
    const down = async (change: { from?: number; until?: number; limit: number }) =>
      seqs(await node.broker.log.read({ channel, from: 1, reverse: true, ...change }));
    expect(await down({ limit: 3 })).toEqual([9, 8, 7]);
    expect(await down({ until: 6, limit: 4 })).toEqual([6, 5, 4, 3]);
    expect(await down({ until: 2, limit: 4 })).toEqual([2, 1]);
    expect(await down({ from: 8, limit: 4 })).toEqual([9, 8]);
    expect(await down({ until: 0, limit: 4 })).toEqual([]);
  });

  it('stops a `reverse` read where history was trimmed (P5)', async () => {
    const { node, channel } = await filled(20, { size: 4 });
    const result = await node.broker.log.read({ channel, from: 1, limit: 100, reverse: true });
    expect(result.oldest).toBe(17);
    expect(seqs(result)).toEqual([20, 19, 18, 17]);
  });

  it('takes a position without an epoch as one of the current epoch (P10)', async () => {
    const { node, channel, tip } = await filled(3);
    expect(await node.broker.log.read({ channel, from: 4, limit: 9 })).toMatchObject({
      tip,
      continuous: true,
    });
    expect(await node.broker.log.read({ channel, from: 5, limit: 9 })).toMatchObject({
      tip,
      continuous: false,
    });
  });

  it('applies a smaller `size` from the next append (P10)', async () => {
    const { node, channel } = await filled(10);
    await context.append(node, channel, ['next'], { size: 3 });
    const result = await node.broker.log.read({ channel, from: 1, limit: 100 });
    expect(result.oldest).toBe(9);
    expect(seqs(result)).toEqual([9, 10, 11]);
  });

  it('answers the same for a log that was never written, whatever else is read, subscribed and left (P10, P11)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const tip = await context.tip(left, channel);
    const others = Array.from({ length: 200 }, () => context.channel('other'));
    await right.broker.log.tips(others);
    for (const other of others.slice(0, 20)) {
      expect((await right.broker.log.read({ channel: other, from: 1, limit: 9 })).events).toEqual([]);
    }
    expect(await right.broker.log.subscribe(channel)).toEqual(tip);
    await right.broker.log.unsubscribe(channel);
    await context.harness.quiet();
    for (const { broker } of [left, right]) {
      expect(await broker.log.read({ channel, epoch: tip.epoch, from: 1, limit: 9 })).toEqual({
        tip,
        continuous: true,
        oldest: 1,
        events: [],
      });
      expect(await broker.log.read({ channel, epoch: tip.epoch, from: 2, limit: 9 })).toMatchObject({
        continuous: false,
      });
      expect(await broker.log.read({ channel, epoch: 'never', from: 1, limit: 9 })).toMatchObject({
        continuous: false,
      });
    }
    expect(await context.append(right, channel, ['a'])).toEqual([{ epoch: tip.epoch, seq: 1 }]);
  });

  it('returns tips in the order of the requested channels, empty channels included (G5, P11)', async () => {
    const { node, channel, tip } = await filled(3);
    const [empty, other] = [context.channel(), context.channel()];
    await context.append(node, other, ['a']);
    const tips = await node.broker.log.tips([empty, channel, other, channel]);
    expect(tips.map((position) => position.seq)).toEqual([0, 3, 1, 3]);
    expect(tips[1]).toEqual(tip);
    expect(await node.broker.log.tips([])).toEqual([]);
  });
}
