import type { BrokerTransitions, Hold, Transition } from '../../core/ports/transitions.js';
import type { ContractContext } from './context.js';
import type { ContractNode } from './harness.js';

/** For holders that must stay, however long the test takes. */
const LONG_LEASE_MS = 600_000;
/** Longer than a node is the consumer without asking. */
const CONSUMER_MS = 6_000;

/** Transitions: what is held over the whole cluster, from its first holder to its last. */
export function transitionsContract(context: ContractContext): void {
  const { it, expect } = context;

  const of = ({ broker }: ContractNode): BrokerTransitions => {
    if (broker.transitions === undefined)
      throw new Error('The factory declares `transitions`, the broker lacks them');
    return broker.transitions;
  };
  const hold = (channel: string, change: Partial<Hold> = {}): Hold => ({
    channel,
    holder: 'n1',
    generation: 1,
    ...change,
  });
  const words = (transitions: readonly Transition[]): readonly string[] =>
    transitions.map(({ member, held }) => `${held ? '+' : '-'}${member ?? ''}`);

  /** What is new, which is dealt with: however much time passes, it is not handed over again. */
  const consume = async (node: ContractNode): Promise<readonly string[]> => {
    const taken = await of(node).take(100);
    await of(node).done(taken.map(({ id }) => id));
    return words(taken);
  };

  it('records the first holder of a channel and the end of its last one, once each (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await of(left).hold([hold(channel)], LONG_LEASE_MS);
    await of(right).hold([hold(channel, { holder: 'n2' })], LONG_LEASE_MS);
    await of(left).hold([hold(channel)], LONG_LEASE_MS);
    await of(left).release(hold(channel), 0);
    await of(left).release(hold(channel), 0);
    expect(words(await of(left).take(10))).toEqual(['+']);
    await of(right).release(hold(channel, { holder: 'n2' }), 0);
    expect(words(await of(left).take(10))).toEqual(['-']);
  });

  it('keeps the channel, and members of any name, apart (G19)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const names = [undefined, '', 'u1', 'a\nb', ' ü'];
    for (const member of names) await of(node).hold([hold(channel, { member })], LONG_LEASE_MS);
    const taken = await of(node).take(10);
    expect(taken.map(({ member }) => member)).toEqual(names);
    expect(taken.map((one) => one.channel)).toEqual(names.map(() => channel));
  });

  it('ends a holder that is not renewed, also where nobody asked for its end (G19)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { leaseMs, slackMs } = context.windows;
    await of(node).hold([hold(channel)], leaseMs);
    expect(await consume(node)).toEqual(['+']);
    await context.harness.advance(leaseMs + slackMs);
    await context.eventually(async () => expect(await consume(node)).toEqual(['-']));
  });

  it('ends with the latest of its holders, whichever came last (G19)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { leaseMs, slackMs } = context.windows;
    const ends = [leaseMs, LONG_LEASE_MS, leaseMs];
    for (const [index, ms] of ends.entries())
      await of(node).hold([hold(channel, { holder: `n${index}` })], ms);
    await context.harness.advance(leaseMs + slackMs);
    expect(await consume(node)).toEqual(['+']);
    await of(node).release(hold(channel, { holder: 'n0' }), 0);
    expect(await consume(node)).toEqual([]);
    await of(node).release(hold(channel, { holder: 'n1' }), 0);
    expect(await consume(node)).toEqual(['-']);
  });

  it('records both transitions of a lease that ends at once (G19)', async () => {
    const node = await context.node();
    await of(node).hold([hold(context.channel())], 0);
    expect(await consume(node)).toEqual(['+', '-']);
  });

  it('renews: a holder that holds again in time has no transition (G19)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { leaseMs, slackMs } = context.windows;
    await of(node).hold([hold(channel)], leaseMs);
    await of(node).hold([hold(channel)], LONG_LEASE_MS);
    await context.harness.advance(leaseMs + slackMs);
    expect(await consume(node)).toEqual(['+']);
    expect(await consume(node)).toEqual([]);
  });

  it('lets a holder come back within its grace, and ends it after that (G19)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { graceMs, slackMs } = context.windows;
    await of(node).hold([hold(channel)], LONG_LEASE_MS);
    await of(node).release(hold(channel), graceMs);
    await of(node).hold([hold(channel)], LONG_LEASE_MS);
    await context.harness.advance(graceMs + slackMs);
    expect(await consume(node)).toEqual(['+']);
    await of(node).release(hold(channel), graceMs);
    expect(await consume(node)).toEqual([]);
    await context.harness.advance(graceMs + slackMs);
    await context.eventually(async () => expect(await consume(node)).toEqual(['-']));
  });

  it('lets an older generation neither end nor shorten what a newer one holds (P28, G19)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const { graceMs, slackMs } = context.windows;
    await of(node).hold([hold(channel)], LONG_LEASE_MS);
    await of(node).hold([hold(channel, { generation: 2 })], LONG_LEASE_MS);
    await of(node).release(hold(channel), 0);
    await of(node).hold([hold(channel)], graceMs);
    await context.harness.advance(graceMs + slackMs);
    expect(await consume(node)).toEqual(['+']);
    expect(await consume(node)).toEqual([]);
    await of(node).release(hold(channel, { generation: 2 }), 0);
    expect(await consume(node)).toEqual(['-']);
  });

  it('hands each transition to one node, in pages, and again to another where it was not dealt with (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    for (const member of ['a', 'b', 'c']) await of(left).hold([hold(channel, { member })], LONG_LEASE_MS);
    const first = await of(left).take(2);
    expect(words(first)).toEqual(['+a', '+b']);
    expect(await of(right).take(10)).toEqual([]);
    await of(left).done(first.slice(0, 1).map(({ id }) => id));
    expect(words(await of(left).take(0))).toEqual([]);
    expect(words(await of(left).take(10))).toEqual(['+c']);
    await context.harness.advance(CONSUMER_MS);
    const again = await of(right).take(10);
    expect(words(again)).toEqual(['+b', '+c']);
    expect(again[0]?.id).toBe(first[1]?.id);
  });

  it('hands a node again what it did not deal with, after it was no consumer for a time (G19)', async () => {
    const node = await context.node();
    await of(node).hold([hold(context.channel())], LONG_LEASE_MS);
    const first = await of(node).take(10);
    await context.harness.advance(CONSUMER_MS);
    expect(await of(node).take(10)).toEqual(first);
  });

  it('hands them to another node at once when the consumer is closed (G19)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await of(left).hold([hold(channel)], LONG_LEASE_MS);
    expect(words(await of(left).take(10))).toEqual(['+']);
    await left.broker.close();
    expect(words(await of(right).take(10))).toEqual(['+']);
  });

  it('records of each member transitions that alternate, as many as its holders say (G19)', async () => {
    const nodes = await context.twoNodes();
    const channel = context.channel();
    const random = seeded(7);
    const held = new Map<string, Set<string>>();
    const expected: string[] = [];
    for (let step = 0; step < 1_000; step += 1) {
      const member = `m${Math.floor(random() * 5)}`;
      const holder = `d${Math.floor(random() * 3)}`;
      const { transitions } = nodes[Math.floor(random() * 2)]?.broker ?? {};
      const holders = held.get(member) ?? new Set();
      held.set(member, holders);
      const before = holders.size;
      if (random() < 0.5) {
        holders.add(holder);
        await transitions?.hold([hold(channel, { member, holder })], LONG_LEASE_MS);
        if (before === 0) expected.push(`+${member}`);
      } else {
        const had = holders.delete(holder);
        await transitions?.release(hold(channel, { member, holder }), 0);
        if (had && before === 1) expected.push(`-${member}`);
      }
    }
    expect(words(await of(nodes[0]).take(10_000))).toEqual(expected);
  });

  it('refuses everything after it was closed', async () => {
    const node = await context.node();
    const transitions = of(node);
    await node.broker.close();
    const refused = await transitions.take(1).then(
      () => undefined,
      (error: unknown) => (error as { code?: unknown }).code,
    );
    expect(refused).toBe('unavailable');
  });
}

/** Numbers in [0, 1), the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
