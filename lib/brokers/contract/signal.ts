import { ids, type ContractContext } from './context.js';

/** Signals: delivered, never logged. */
export function signalContract(context: ContractContext): void {
  const { it, expect } = context;

  it('P5 a signal reaches every subscribed node, the sender included, as it was sent', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await Promise.all([left.broker.log.subscribe(channel), right.broker.log.subscribe(channel)]);
    const signal = { event: 'typing', payload: { on: true, text: 'Grüße 👋' }, user: 'u1' };
    await left.broker.log.signal(channel, signal);
    await context.eventually(() => {
      for (const { seen } of [left, right]) expect(seen.signalsOf(channel)).toEqual([signal]);
    });
  });

  it('P5 a signal needs neither payload nor user', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    await left.broker.log.signal(channel, { event: 'typing' });
    await context.eventually(() => expect(right.seen.signalsOf(channel)).toHaveLength(1));
    expect(right.seen.signalsOf(channel)[0]).toMatchObject({ event: 'typing' });
    expect(right.seen.signalsOf(channel)[0]?.payload).toBeUndefined();
    expect(right.seen.signalsOf(channel)[0]?.user).toBeUndefined();
  });

  it('P5 signals are never in the log: neither read, nor counted, nor pushed as events', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    const [first] = await context.append(left, channel, ['a']);
    await left.broker.log.signal(channel, { event: 'typing' });
    expect(await context.tip(left, channel)).toEqual(first);
    await context.append(left, channel, ['b']);
    await context.eventually(() => expect(right.seen.signalsOf(channel)).toHaveLength(1));
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1, 2]));
    expect((await context.log(left, channel)).map((event) => event.id)).toEqual(['a', 'b']);
  });

  it('P5 a node without interest is not told', async () => {
    const [left, right] = await context.twoNodes();
    const [wanted, other] = [context.channel(), context.channel()];
    await right.broker.log.subscribe(wanted);
    await left.broker.log.signal(other, { event: 'typing' });
    await context.harness.quiet();
    expect(right.seen.signals).toEqual([]);
    expect(left.seen.signals).toEqual([]);
  });

  it('P5 signals of one node keep their order', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    const names = ids('s', 50);
    await Promise.all(names.map((event) => left.broker.log.signal(channel, { event })));
    await context.eventually(() =>
      expect(right.seen.signalsOf(channel).map((signal) => signal.event)).toEqual(names),
    );
  });
}
