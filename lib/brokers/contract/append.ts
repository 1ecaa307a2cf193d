import { ids, positionsOf, range, type ContractContext } from './context.js';

const PAYLOADS: readonly (readonly [name: string, payload: unknown])[] = [
  ['nothing', undefined],
  ['null', null],
  ['false', false],
  ['zero', 0],
  ['an empty string', ''],
  ['an array', [[], {}]],
];

/** Numbers, fields and order of appended events. */
export function appendContract(context: ContractContext): void {
  const { it, expect } = context;

  it('P10 numbers the events of an empty log from 1, one by one', async () => {
    const node = await context.node();
    const channel = context.channel();
    const first = await context.append(node, channel, ['a']);
    const rest = await context.append(node, channel, ['b', 'c']);
    expect([...first, ...rest].map((position) => position.seq)).toEqual([1, 2, 3]);
    expect(new Set([...first, ...rest].map((position) => position.epoch)).size).toBe(1);
  });

  it('P10 P11 gives an empty log a tip, in an epoch that its first events keep', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const tip = await context.tip(left, channel);
    expect(tip).toEqual({ epoch: expect.stringMatching(/^.{1,64}$/), seq: 0 });
    expect(await context.tip(right, channel)).toEqual(tip);
    expect(await right.broker.log.subscribe(channel)).toEqual(tip);
    expect(await context.append(right, channel, ['a'])).toEqual([{ epoch: tip.epoch, seq: 1 }]);
    expect(await context.tip(left, channel)).toEqual({ epoch: tip.epoch, seq: 1 });
  });

  it('P10 counts each channel for itself, also inside one batch', async () => {
    const node = await context.node();
    const [first, second] = [context.channel(), context.channel()];
    const outcomes = await node.broker.log.appendMany([
      context.request(first, 'a'),
      context.request(second, 'b'),
      context.request(first, 'c'),
      context.request(second, 'd'),
      context.request(second, 'e'),
    ]);
    expect(positionsOf(outcomes).map((position) => position.seq)).toEqual([1, 1, 2, 2, 3]);
    expect((await context.log(node, first)).map((event) => event.id)).toEqual(['a', 'c']);
    expect((await context.log(node, second)).map((event) => event.id)).toEqual(['b', 'd', 'e']);
  });

  it('P15 an empty batch has an empty result', async () => {
    const node = await context.node();
    expect(await node.broker.log.appendMany([])).toEqual([]);
  });

  it('G1 P15 what is acknowledged is in the log, for every node', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    for (const id of ids('e', 20)) {
      const [position] = await context.append(left, channel, [id]);
      const { tip, events } = await right.broker.log.read({ channel, from: position?.seq ?? 0, limit: 1 });
      expect(events.map((event) => event.id)).toEqual([id]);
      expect(tip).toEqual(position);
    }
  });

  it('P5 keeps every field of an event as it was given', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const event = {
      id: 'full',
      event: 'order.changed',
      payload: {
        text: 'Grüße 👋 \u0000 "\\',
        list: [1, 2.5, -0.25, null, { deep: [true] }],
        nothing: null,
        empty: '',
      },
      user: 'auth0|7',
      key: 'order-7',
      ttl: 60_000,
      trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      meta: { source: 'test', count: 3 },
    };
    await right.broker.log.subscribe(channel);
    const [position] = positionsOf(
      await left.broker.log.appendMany([
        { channel, producer: 'u1', fingerprint: 'f', event, policy: context.policy() },
      ]),
    );
    await context.harness.quiet();
    const [read] = await context.log(right, channel);
    const [pushed] = right.seen.eventsOf(channel);
    for (const found of [read, pushed]) {
      expect(found).toMatchObject({ ...event, ...position, channel });
      expect(Number.isFinite(found?.ts)).toBe(true);
    }
  });

  for (const [name, payload] of PAYLOADS) {
    it(`P5 a payload may be ${name}`, async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await left.broker.log.appendMany([context.request(channel, 'a', { payload })]);
      const [event] = await context.log(right, channel);
      expect(event?.payload).toEqual(payload);
      for (const field of ['user', 'key', 'ttl', 'trace', 'meta'] as const)
        expect(event?.[field]).toBeUndefined();
    });
  }

  it('P16 calls for one channel take effect in the order of the calls, unawaited', async () => {
    const node = await context.node();
    const channel = context.channel();
    const wanted = ids('e', 200);
    const calls = wanted.map((id) => node.broker.log.appendMany([context.request(channel, id)]));
    const positions = (await Promise.all(calls)).flatMap(positionsOf);
    expect(positions.map((position) => position.seq)).toEqual(range(1, 200));
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(wanted);
  });

  it('P16 the items of a batch are appended in their order, however long it is', async () => {
    const node = await context.node();
    const channel = context.channel();
    const wanted = ids('e', 1_000);
    const positions = await context.append(node, channel, wanted);
    expect(positions.map((position) => position.seq)).toEqual(range(1, 1_000));
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(wanted);
  });

  it('G2 P16 appends of two nodes at once have one order, which keeps that of each producer', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const count = 100;
    const calls = range(1, count).flatMap((number) => [
      left.broker.log.appendMany([context.request(channel, `l${number}`, { producer: 'left' })]),
      right.broker.log.appendMany([context.request(channel, `r${number}`, { producer: 'right' })]),
    ]);
    const positions = (await Promise.all(calls)).flatMap(positionsOf);
    expect(positions.map((position) => position.seq).sort((a, b) => a - b)).toEqual(range(1, 2 * count));

    const log = await context.log(left, channel);
    expect(log.map((event) => event.seq)).toEqual(range(1, 2 * count));
    expect((await context.log(right, channel)).map((event) => event.id)).toEqual(
      log.map((event) => event.id),
    );
    expect(log.map((event) => event.id).filter((id) => id.startsWith('l'))).toEqual(ids('l', count));
    expect(log.map((event) => event.id).filter((id) => id.startsWith('r'))).toEqual(ids('r', count));
  });

  it('P27 a log that keeps nothing still counts', async () => {
    const node = await context.node();
    const channel = context.channel();
    const positions = await context.append(node, channel, ['a', 'b', 'c'], { retain: false });
    expect(positions.map((position) => position.seq)).toEqual([1, 2, 3]);
    expect(await context.tip(node, channel)).toEqual(positions[2]);
  });
}
