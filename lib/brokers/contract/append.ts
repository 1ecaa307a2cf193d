import { toWireValue } from '../../protocol/wire-value.js';
import { ids, positionsOf, range, type ContractContext } from './context.js';

const PAYLOADS: readonly (readonly [name: string, payload: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['false', false],
  ['zero', 0],
  ['an empty string', ''],
  ['an array', [[], {}]],
  ['bytes', toWireValue({ image: Uint8Array.of(0, 255, 1) })],
  ['an object that looks like bytes', toWireValue({ $bytes: 'AQ==' })],
];

/** Numbers, fields and order of appended events. */
export function appendContract(context: ContractContext): void {
  const { it, expect } = context;

  it('numbers the events of an empty log 1, 2, 3, … (P10)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const first = await context.append(node, channel, ['a']);
    const rest = await context.append(node, channel, ['b', 'c']);
    expect([...first, ...rest].map((position) => position.seq)).toEqual([1, 2, 3]);
    expect(new Set([...first, ...rest].map((position) => position.epoch)).size).toBe(1);
  });

  it('gives an empty log a tip, in the epoch that its first events keep (P10, P11)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const tip = await context.tip(left, channel);
    expect(tip).toEqual({ epoch: expect.stringMatching(/^.{1,64}$/), seq: 0 });
    expect(await context.tip(right, channel)).toEqual(tip);
    expect(await right.broker.log.subscribe(channel)).toEqual(tip);
    expect(await context.append(right, channel, ['a'])).toEqual([{ epoch: tip.epoch, seq: 1 }]);
    expect(await context.tip(left, channel)).toEqual({ epoch: tip.epoch, seq: 1 });
  });

  it('numbers each channel independently, also inside one batch (P10)', async () => {
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

  it('returns an empty result for an empty batch (P15)', async () => {
    const node = await context.node();
    expect(await node.broker.log.appendMany([])).toEqual([]);
  });

  it('makes an acknowledged event readable on every node (G1, P15)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    for (const id of ids('e', 20)) {
      const [position] = await context.append(left, channel, [id]);
      const { tip, events } = await right.broker.log.read({ channel, from: position?.seq ?? 0, limit: 1 });
      expect(events.map((event) => event.id)).toEqual([id]);
      expect(tip).toEqual(position);
    }
  });

  it('stores every field of an event unchanged (P5)', async () => {
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
        { channel, producer: 'u1', fingerprint: 'f', event, bytes: 500, policy: context.policy() },
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
    it(`stores a payload that is ${name} (P5)`, async () => {
      const [left, right] = await context.twoNodes();
      const channel = context.channel();
      await left.broker.log.appendMany([context.request(channel, 'a', { payload })]);
      const [event] = await context.log(right, channel);
      expect(event?.payload).toEqual(payload);
      expect(JSON.stringify(event?.payload)).toBe(JSON.stringify(payload));
      for (const field of ['user', 'key', 'ttl', 'trace', 'meta'] as const)
        expect(event?.[field]).toBeUndefined();
    });
  }

  it('applies concurrent appends to one channel in the order of the calls (P16)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const wanted = ids('e', 200);
    const calls = wanted.map((id) => node.broker.log.appendMany([context.request(channel, id)]));
    const positions = (await Promise.all(calls)).flatMap(positionsOf);
    expect(positions.map((position) => position.seq)).toEqual(range(1, 200));
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(wanted);
  });

  it('appends the items of a batch in order, however long the batch is (P16)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const wanted = ids('e', 1_000);
    const positions = await context.append(node, channel, wanted);
    expect(positions.map((position) => position.seq)).toEqual(range(1, 1_000));
    expect((await context.log(node, channel)).map((event) => event.id)).toEqual(wanted);
  });

  it('gives concurrent appends of two nodes one order that keeps the order of each producer (G2, P16)', async () => {
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

  it('counts the events of a log that keeps none (P27)', async () => {
    const node = await context.node();
    const channel = context.channel();
    const positions = await context.append(node, channel, ['a', 'b', 'c'], { retain: false });
    expect(positions.map((position) => position.seq)).toEqual([1, 2, 3]);
    expect(await context.tip(node, channel)).toEqual(positions[2]);
  });
}
