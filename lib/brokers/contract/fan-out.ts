import { ids, range, type ContractContext } from './context.js';

/** Delivery of events to every node that subscribed. */
export function fanOutContract(context: ContractContext): void {
  const { it, expect } = context;

  it('G2 every subscribed node, the publishing one included, is told every event in the order of the log', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await Promise.all([left.broker.log.subscribe(channel), right.broker.log.subscribe(channel)]);
    const count = 50;
    await Promise.all(
      range(1, count).flatMap((number) => [
        left.broker.log.appendMany([context.request(channel, `l${number}`, { producer: 'left' })]),
        right.broker.log.appendMany([context.request(channel, `r${number}`, { producer: 'right' })]),
      ]),
    );
    await context.eventually(() => {
      for (const node of [left, right]) expect(node.seen.seqsOf(channel)).toEqual(range(1, 2 * count));
    });
    const log = (await context.log(left, channel)).map((event) => event.id);
    for (const { seen } of [left, right])
      expect(seen.eventsOf(channel).map((event) => event.id)).toEqual(log);
  });

  it('P10 G5 an event that is pushed names its channel, epoch and seq, as the log has it', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    const positions = await context.append(left, channel, ['a', 'b']);
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1, 2]));
    const pushed = right.seen.eventsOf(channel).map(({ epoch, seq }) => ({ epoch, seq }));
    expect(pushed).toEqual(positions);
    const read = await context.log(left, channel);
    const plain = ({ id, event, payload, ts, channel: name }: (typeof read)[number]) => ({
      id,
      event,
      payload,
      ts,
      name,
    });
    expect(right.seen.eventsOf(channel).map(plain)).toEqual(read.map(plain));
  });

  it('G5 a node is told only of channels that it subscribed to', async () => {
    const [left, right] = await context.twoNodes();
    const [wanted, other] = [context.channel(), context.channel()];
    await right.broker.log.subscribe(wanted);
    await left.broker.log.appendMany([
      context.request(other, 'a'),
      context.request(wanted, 'b'),
      context.request(other, 'c'),
    ]);
    await context.harness.quiet();
    expect(right.seen.batches.map((batch) => batch.channel)).toEqual([wanted]);
    expect(left.seen.batches).toEqual([]);
  });

  it('G2 the channels of one batch keep their order each', async () => {
    const [left, right] = await context.twoNodes();
    const channels = range(1, 3).map(() => context.channel());
    for (const channel of channels) await right.broker.log.subscribe(channel);
    await left.broker.log.appendMany(
      ids('e', 30).map((id, index) => context.request(channels[index % 3] ?? '', id)),
    );
    await context.eventually(() => {
      for (const channel of channels) expect(right.seen.seqsOf(channel)).toEqual(range(1, 10));
    });
  });

  it('P15 items that fail are not delivered', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    await left.broker.log.appendMany([
      context.request(channel, 'a'),
      // Both fail only where the broker dedupes.
      ...(context.capabilities.dedupes
        ? [
            context.request(channel, 'a', { payload: 'other' }),
            context.request(channel, 'x', { after: 'never' }),
          ]
        : []),
      context.request(channel, 'b'),
    ]);
    await context.harness.quiet();
    expect(right.seen.eventsOf(channel).map((event) => event.id)).toEqual(['a', 'b']);
  });

  it('P27 events that are not kept are delivered', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    await context.append(left, channel, ['a', 'b'], { retain: false });
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1, 2]));
  });

  it('P11 `subscribe` gives the tip, and what was before it is not pushed', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const positions = await context.append(left, channel, ['a', 'b', 'c']);
    expect(await right.broker.log.subscribe(channel)).toEqual(positions[2]);
    await context.append(left, channel, ['d']);
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toContain(4));
    expect(right.seen.seqsOf(channel).filter((seq) => seq > 3)).toEqual([4]);
  });

  it('G11 after `unsubscribe` nothing more is told, and subscribing again goes on from the new tip', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await right.broker.log.subscribe(channel);
    await context.append(left, channel, ['a']);
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1]));
    await right.broker.log.unsubscribe(channel);
    await context.append(left, channel, ['b']);
    await left.broker.log.signal(channel, { event: 'typing' });
    await context.harness.quiet();
    expect(right.seen.seqsOf(channel)).toEqual([1]);
    expect(right.seen.signals).toEqual([]);

    expect((await right.broker.log.subscribe(channel)).seq).toBe(2);
    await context.append(left, channel, ['c']);
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1, 3]));
  });

  it('G11 the end of one node’s interest is not the end of another’s', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await Promise.all([left.broker.log.subscribe(channel), right.broker.log.subscribe(channel)]);
    await left.broker.log.unsubscribe(channel);
    await context.append(left, channel, ['a']);
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1]));
    expect(left.seen.seqsOf(channel)).toEqual([]);
  });

  it('P24 `unsubscribe` is idempotent, also for what was never subscribed', async () => {
    const node = await context.node();
    const channel = context.channel();
    await node.broker.log.unsubscribe(channel);
    await node.broker.log.subscribe(channel);
    await node.broker.log.unsubscribe(channel);
    await node.broker.log.unsubscribe(channel);
    await context.append(node, channel, ['a']);
    await context.harness.quiet();
    expect(node.seen.batches).toEqual([]);
  });

  it('G2 a node that appends from inside its listener disturbs nobody’s order', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await left.broker.log.subscribe(channel);
    await right.broker.log.subscribe(channel);
    const answers: Promise<unknown>[] = [];
    left.seen.eventsHook = (_channel, events) => {
      for (const { id } of events) {
        if (!id.startsWith('q')) continue;
        for (const name of [`first-${id}`, `second-${id}`]) {
          answers.push(left.broker.log.appendMany([context.request(channel, name, { producer: 'bot' })]));
        }
      }
    };
    await Promise.all(ids('q', 20).map((id) => right.broker.log.appendMany([context.request(channel, id)])));
    await context.eventually(() => {
      for (const { seen } of [left, right]) expect(seen.seqsOf(channel)).toEqual(range(1, 60));
    });
    await Promise.all(answers);
    const order = (await context.log(right, channel)).map((event) => event.id);
    for (const { seen } of [left, right])
      expect(seen.eventsOf(channel).map((event) => event.id)).toEqual(order);
  });
}
