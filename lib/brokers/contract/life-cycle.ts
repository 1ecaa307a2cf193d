import type { Broker } from '../../core/ports/broker.js';
import { range, type ContractContext } from './context.js';

/** Start, probe and close, and the log that outlives its nodes. */
export function lifeCycleContract(context: ContractContext): void {
  const { it, expect } = context;

  const everyCall = (broker: Broker, channel: string): Record<string, () => Promise<unknown>> => {
    const entry = { channel, member: 'u1', device: 'd1', generation: 1 };
    return {
      appendMany: () => broker.log.appendMany([context.request(channel, 'late')]),
      read: () => broker.log.read({ channel, from: 1, limit: 1 }),
      tips: () => broker.log.tips([channel]),
      subscribe: () => broker.log.subscribe(channel),
      unsubscribe: () => broker.log.unsubscribe(channel),
      signal: () => broker.log.signal(channel, { event: 'typing' }),
      control: () => broker.bus.control({ kind: 'unban', user: 'u1' }),
      probe: () => broker.probe(1_000),
      ...(context.messages
        ? {
            send: async () => broker.bus.send?.('node1', 'late', new Uint8Array(1)),
            nodes: async () => broker.bus.nodes?.(),
          }
        : {}),
      ...(context.capabilities.presence
        ? {
            enter: () => broker.presence.enter(entry, 1_000),
            update: () => broker.presence.update(entry),
            leave: () => broker.presence.leave(entry, 0),
            renew: () => broker.presence.renew([entry], 1_000),
            members: () => broker.presence.members(channel, { limit: 1 }),
          }
        : {}),
    };
  };

  it('declares the capabilities that its harness states (G1)', async () => {
    const node = await context.node();
    expect(node.broker.capabilities).toEqual(context.capabilities);
    const { bus } = node.broker;
    expect([bus.send !== undefined, bus.nodes !== undefined]).toEqual([context.messages, context.messages]);
    expect(node.broker.name).toMatch(/^[a-z][a-z0-9-]*$/);
  });

  it('reports `up` before `start` resolves (G21)', async () => {
    const node = await context.node();
    expect(node.seen.states.at(-1)).toBe('up');
  });

  it('returns a probe through the normal delivery path, hidden from the node’s listener (G20)', async () => {
    const [left, right] = await context.twoNodes();
    for (const { broker } of [left, right]) {
      const roundTrip = await broker.probe(5_000);
      expect(roundTrip).toBeGreaterThanOrEqual(0);
      expect(roundTrip).toBeLessThanOrEqual(5_000);
    }
    await context.harness.quiet();
    expect([...left.seen.batches, ...right.seen.batches]).toEqual([]);
  });

  it('keeps concurrent probes independent (G20)', async () => {
    const [left, right] = await context.twoNodes();
    const trips = await Promise.all(
      range(1, 10).map((number) => (number % 2 ? left : right).broker.probe(5_000)),
    );
    expect(trips).toHaveLength(10);
  });

  it('keeps everything in the log that was accepted before `close` (G18)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    const accepted = range(1, 50).map((number) => context.append(left, channel, [`e${number}`]));
    await left.broker.close();
    await Promise.all(accepted);
    expect((await context.log(right, channel)).map((event) => event.seq)).toEqual(range(1, 50));
  });

  it('keeps the log after its nodes are closed: a later node accepts every position (G1, P13)', async () => {
    const first = await context.node();
    const channel = context.channel();
    const positions = await context.append(first, channel, ['a', 'b', 'c']);
    const keeper = await context.node();
    await first.broker.close();
    const second = await context.node();
    await keeper.broker.close();
    const result = await second.broker.log.read({
      channel,
      epoch: positions[0]?.epoch ?? '',
      from: 2,
      limit: 9,
    });
    expect(result).toMatchObject({ tip: positions[2], continuous: true });
    expect(result.events.map((event) => event.id)).toEqual(['b', 'c']);
    if (!context.capabilities.dedupes) return;
    const [again] = await second.broker.log.appendMany([context.request(channel, 'a')]);
    expect(again).toEqual({ ok: true, position: positions[0], duplicate: true });
  });

  it('makes `close` idempotent, also when it is called concurrently, and never rejects (G18)', async () => {
    const node = await context.node();
    await Promise.all([node.broker.close(), node.broker.close()]);
    await node.broker.close();
  });

  it('rejects every call after `close` with `unavailable` (G21)', async () => {
    const node = await context.node();
    const channel = context.channel();
    await node.broker.close();
    for (const [name, call] of Object.entries(everyCall(node.broker, channel))) {
      const failure: unknown = await call().then(
        () => `${name} resolved`,
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({ name: 'RealtimeError', code: 'unavailable', retryable: true });
    }
  });

  it('notifies a closed node of nothing more, and the other nodes of everything (G18)', async () => {
    const [left, right] = await context.twoNodes();
    const channel = context.channel();
    await Promise.all([left.broker.log.subscribe(channel), right.broker.log.subscribe(channel)]);
    await left.broker.close();
    const calls = left.seen.calls;
    await context.append(right, channel, ['a']);
    await right.broker.log.signal(channel, { event: 'typing' });
    await right.broker.bus.control({ kind: 'disconnect', user: 'u1' });
    await right.broker.bus.send?.(left.id, 'late', new Uint8Array(1));
    if (context.capabilities.presence) {
      await right.broker.presence.enter({ channel, member: 'u1', device: 'd1', generation: 1 }, 10_000);
    }
    await context.eventually(() => expect(right.seen.seqsOf(channel)).toEqual([1]));
    await context.eventually(() => expect(right.seen.signalsOf(channel)).toHaveLength(1));
    await context.harness.quiet();
    expect(left.seen.calls).toBe(calls);
  });
}
