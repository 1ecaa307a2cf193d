import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { append, kit, type Kit } from './kit.js';

describe('MemoryBroker: delivery', () => {
  let made: Kit | undefined;
  const open = async () => (made = await kit());
  afterEach(() => made?.broker.close());

  it('delivers inside the append, one batch per channel and call', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe('a');
    await broker.log.subscribe('b');
    const call = broker.log.appendMany([
      append('a', '1'),
      append('b', '2'),
      append('a', '3'),
      append('c', '4'),
    ]);
    expect(seen.batches.map(({ channel, events }) => [channel, events.map((event) => event.id)])).toEqual([
      ['a', ['1', '3']],
      ['b', ['2']],
    ]);
    await call;
  });

  it('G2 an append from inside a listener is delivered after what runs, to every node', async () => {
    const { broker, seen, node } = await open();
    const second = await node();
    for (const { broker: one } of [{ broker }, second]) {
      await one.log.subscribe('a');
      await one.log.subscribe('b');
    }
    const order: string[] = [];
    seen.eventsHook = (channel, events) => {
      for (const event of events) {
        order.push(`first:${channel}:${event.seq}`);
        // The batch of `b` still waits: its event is before this one in the log of `b`.
        if (event.id === 'a1') void broker.log.appendMany([append('b', 'nested'), append('a', 'nested')]);
      }
    };
    second.seen.eventsHook = (channel, events) => {
      for (const event of events) order.push(`second:${channel}:${event.seq}`);
    };
    await broker.log.appendMany([append('a', 'a1'), append('b', 'b1')]);
    expect(order).toEqual([
      'first:a:1',
      'second:a:1',
      'first:b:1',
      'second:b:1',
      'first:b:2',
      'second:b:2',
      'first:a:2',
      'second:a:2',
    ]);
  });

  it('G2 signals, presence and control from inside a listener wait their turn as well', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe('a');
    const order: string[] = [];
    const log = (name: string) => () => void order.push(name);
    seen.onSignal = log('signal');
    seen.onPresence = log('presence');
    seen.controlHook = log('control');
    seen.eventsHook = () => {
      order.push('begin');
      void broker.log.signal('a', { event: 'typing' });
      void broker.presence.enter({ channel: 'a', member: 'u', device: 'd', generation: 1 }, 1_000);
      void broker.bus.control({ kind: 'disconnect', user: 'u' });
      order.push('end');
    };
    await broker.log.appendMany([append('a', '1')]);
    expect(order).toEqual(['begin', 'end', 'signal', 'presence', 'control']);
  });

  it('G11 a node that unsubscribes inside a listener is not told what already waits for it', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe('a');
    await broker.log.subscribe('b');
    seen.eventsHook = (channel) => {
      if (channel === 'a') void broker.log.unsubscribe('b');
    };
    await broker.log.appendMany([append('a', '1'), append('b', '1')]);
    expect(seen.batches.map((batch) => batch.channel)).toEqual(['a']);
  });

  it('G11 one that subscribes inside a listener is told what comes behind its tip, and nothing before', async () => {
    const { broker, seen, node } = await open();
    const second = await node();
    await broker.log.subscribe('a');
    let tip: Promise<{ readonly seq: number }> | undefined;
    seen.eventsHook = (_channel, events) => {
      if (events[0]?.id !== '1') return;
      void broker.log.appendMany([append('a', '2')]);
      tip = second.broker.log.subscribe('a');
      void broker.log.appendMany([append('a', '3')]);
    };
    await broker.log.appendMany([append('a', '1')]);
    expect(await tip).toMatchObject({ seq: 2 });
    expect(second.seen.seqsOf('a')).toEqual([3]);
  });

  it('G18 a node that is closed inside a listener is not told anything more', async () => {
    const { broker, seen, node } = await open();
    const second = await node();
    await broker.log.subscribe('a');
    await second.broker.log.subscribe('a');
    seen.eventsHook = () => {
      void broker.bus.control({ kind: 'disconnect', user: 'u' });
      void second.broker.close();
    };
    await broker.log.appendMany([append('a', '1')]);
    expect(second.seen.batches).toEqual([]);
    expect(second.seen.controls).toEqual([]);
  });

  it('P11 subscribing twice is one subscription', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe('a');
    await broker.log.subscribe('a');
    await broker.log.appendMany([append('a', '1')]);
    expect(seen.seqsOf('a')).toEqual([1]);
    await broker.log.unsubscribe('a');
    await broker.log.appendMany([append('a', '2')]);
    expect(seen.seqsOf('a')).toEqual([1]);
  });

  it('a listener that throws is reported, and costs neither the publisher nor the other nodes anything', async () => {
    const { broker, seen, node } = await open();
    const second = await node();
    await broker.log.subscribe('a');
    await second.broker.log.subscribe('a');
    const later = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => undefined);
    try {
      seen.eventsHook = () => {
        throw new Error('bug');
      };
      const outcomes = await broker.log.appendMany([append('a', '1')]);
      await broker.log.appendMany([append('a', '2')]);
      expect(outcomes).toMatchObject([{ ok: true }]);
      expect(second.seen.seqsOf('a')).toEqual([1, 2]);
      expect(later).toHaveBeenCalledTimes(2);
      expect(later.mock.calls[0]?.[0]).toThrow('bug');
    } finally {
      later.mockRestore();
    }
  });

  it('hot path 1: replay and live share the event object, and with it the encoded bytes', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe('a');
    await broker.log.appendMany([append('a', '1')]);
    const { events } = await broker.log.read({ channel: 'a', from: 1, limit: 1 });
    expect(events[0]).toBe(seen.eventsOf('a')[0]);
  });
});
