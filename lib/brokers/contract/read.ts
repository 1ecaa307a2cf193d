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

  it('P10 P13 the tip is a good position with nothing after it, on every node', async () => {
    const { channel, tip } = await filled(5);
    const other = await context.node();
    const result = await other.broker.log.read({ channel, epoch: tip.epoch, from: 6, limit: 10 });
    expect(result).toEqual({ tip, continuous: true, oldest: 1, events: [] });
  });

  it('P10 P12 a position inside the log is continued in order, without hole or repeat', async () => {
    const { node, channel, tip } = await filled(9);
    const result = await node.broker.log.read({ channel, epoch: tip.epoch, from: 4, limit: 100 });
    expect(result).toMatchObject({ tip, continuous: true, oldest: 1 });
    expect(seqs(result)).toEqual(range(4, 9));
    expect(result.events.every((event) => event.epoch === tip.epoch)).toBe(true);
  });

  it('P10 the start of a log is a good position, of an empty one too', async () => {
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

  it('P10 G6 a position beyond the tip is not continuous: this log never had it', async () => {
    const { node, channel, tip } = await filled(3);
    expect(await node.broker.log.read({ channel, epoch: tip.epoch, from: 5, limit: 9 })).toEqual({
      tip,
      continuous: false,
      oldest: 1,
      events: [],
    });
  });

  for (const from of [1, 3, 4]) {
    it(`P10 G6 a position of an unknown epoch is not continuous (from ${from})`, async () => {
      const { node, channel, tip } = await filled(3);
      const result = await node.broker.log.read({ channel, epoch: `${tip.epoch}x`, from, limit: 9 });
      expect(result).toMatchObject({ tip, continuous: false, events: [] });
    });
  }

  it('P11 history trimmed by size is continuous, and `oldest` tells what is left', async () => {
    const { node, channel, tip } = await filled(25, { size: 10 });
    const result = await node.broker.log.read({ channel, epoch: tip.epoch, from: 3, limit: 100 });
    expect(result).toMatchObject({ tip: { seq: 25 }, continuous: true });
    expect(result.oldest).toBe(16);
    expect(seqs(result)).toEqual(range(16, 25));
  });

  it('P11 history trimmed by age is continuous, counts on, and has nothing left', async () => {
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

  it('P11 age trims the older part only', async () => {
    const { ttlMs, slackMs } = context.windows;
    const { node, channel } = await filled(3, { ttlMs });
    await context.harness.advance(ttlMs * 0.6);
    await context.append(node, channel, ['x', 'y'], { ttlMs });
    await context.harness.advance(ttlMs * 0.4 + slackMs);
    const result = await node.broker.log.read({ channel, from: 1, limit: 9 });
    expect(result.oldest).toBe(4);
    expect(seqs(result)).toEqual([4, 5]);
  });

  it('P27 a log that keeps nothing is continuous at its tip, and empty', async () => {
    const { node, channel, tip } = await filled(3, { retain: false });
    const at = (from: number) => node.broker.log.read({ channel, epoch: tip.epoch, from, limit: 9 });
    expect(await at(4)).toEqual({ tip, continuous: true, oldest: 4, events: [] });
    expect(await at(2)).toEqual({ tip, continuous: true, oldest: 4, events: [] });
    expect(await at(5)).toMatchObject({ continuous: false });
  });

  it('P27 G3 switching retention off and on again leaves no hole in what is kept', async () => {
    const { node, channel } = await filled(3);
    await context.append(node, channel, ['unkept'], { retain: false });
    await context.append(node, channel, ['x', 'y']);
    const result = await node.broker.log.read({ channel, from: 1, limit: 9 });
    expect(result.oldest).toBe(5);
    expect(seqs(result)).toEqual([5, 6]);
  });

  it('G8 a read never gives more than `limit`, and pages join without hole or repeat', async () => {
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

  it('P5 `from` and `until` are inclusive', async () => {
    const { node, channel } = await filled(9);
    const between = async (from: number, until: number) =>
      seqs(await node.broker.log.read({ channel, from, until, limit: 100 }));
    expect(await between(3, 6)).toEqual([3, 4, 5, 6]);
    expect(await between(4, 4)).toEqual([4]);
    expect(await between(6, 5)).toEqual([]);
    expect(await between(8, 400)).toEqual([8, 9]);
  });

  it('P5 `reverse` counts down from `until`, and pages join', async () => {
    const { node, channel } = await filled(9);
    const down = async (change: { from?: number; until?: number; limit: number }) =>
      seqs(await node.broker.log.read({ channel, from: 1, reverse: true, ...change }));
    expect(await down({ limit: 3 })).toEqual([9, 8, 7]);
    expect(await down({ until: 6, limit: 4 })).toEqual([6, 5, 4, 3]);
    expect(await down({ until: 2, limit: 4 })).toEqual([2, 1]);
    expect(await down({ from: 8, limit: 4 })).toEqual([9, 8]);
    expect(await down({ until: 0, limit: 4 })).toEqual([]);
  });

  it('P5 `reverse` stops where history was trimmed', async () => {
    const { node, channel } = await filled(20, { size: 4 });
    const result = await node.broker.log.read({ channel, from: 1, limit: 100, reverse: true });
    expect(result.oldest).toBe(17);
    expect(seqs(result)).toEqual([20, 19, 18, 17]);
  });

  it('P10 without an epoch the position is one of the current epoch', async () => {
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

  it('P10 a smaller `size` holds from the next append on', async () => {
    const { node, channel } = await filled(10);
    await context.append(node, channel, ['next'], { size: 3 });
    const result = await node.broker.log.read({ channel, from: 1, limit: 100 });
    expect(result.oldest).toBe(9);
    expect(seqs(result)).toEqual([9, 10, 11]);
  });

  it('G5 P11 `tips` answers for each channel in the order asked, empty ones included', async () => {
    const { node, channel, tip } = await filled(3);
    const [empty, other] = [context.channel(), context.channel()];
    await context.append(node, other, ['a']);
    const tips = await node.broker.log.tips([empty, channel, other, channel]);
    expect(tips.map((position) => position.seq)).toEqual([0, 3, 1, 3]);
    expect(tips[1]).toEqual(tip);
    expect(await node.broker.log.tips([])).toEqual([]);
  });
}
