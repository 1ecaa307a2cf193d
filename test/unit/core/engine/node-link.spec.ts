import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import { ThrottledLog } from '../../../../lib/core/async/throttled-log.js';
import { BrokerNodeLink, nodeLinkOf } from '../../../../lib/core/engine/node-link.js';
import type { BrokerBus } from '../../../../lib/core/ports/broker.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness } from '../../../support/engine/harness.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';

describe('the way to the other nodes', () => {
  let clock: ManualClock;
  let logger: RecordingLogger;
  let link: BrokerNodeLink;
  /** What the broker was asked, in order. */
  let calls: string[];
  let nodes: () => Promise<readonly string[]>;

  beforeEach(() => {
    clock = new ManualClock();
    logger = new RecordingLogger();
    calls = [];
    nodes = async () => ['left', 'right'];
    const bus: Required<BrokerBus> = {
      control: () => Promise.reject(new Error('unused')),
      send: async (node, topic, bytes) =>
        void calls.push(`${node} ${topic} ${Buffer.from(bytes).toString()}`),
      nodes: () => {
        calls.push('nodes');
        return nodes();
      },
    };
    link = new BrokerNodeLink('left', bus, clock, new ThrottledLog(logger, clock));
  });

  it('is not there where the broker cannot send, or does not know the nodes', () => {
    const journal = new ThrottledLog(logger, clock);
    const broker = memoryBroker();
    expect(nodeLinkOf(broker, 'left', clock, journal)).toBeInstanceOf(BrokerNodeLink);
    for (const missing of ['send', 'nodes'] as const) {
      const less = alteredBroker(broker, { bus: { [missing]: undefined } });
      expect(nodeLinkOf(less, 'left', clock, journal)).toBeUndefined();
    }
  });

  it('reaches this process only where the broker keeps everything in it', () => {
    const journal = new ThrottledLog(logger, clock);
    const broker = memoryBroker();
    expect(nodeLinkOf(broker, 'left', clock, journal)?.inProcess).toBe(true);
    const shared = alteredBroker(broker, { capabilities: { ...broker.capabilities, durability: 'broker' } });
    expect(nodeLinkOf(shared, 'left', clock, journal)?.inProcess).toBe(false);
  });

  it('asks for the live nodes once a second, however many want to know', async () => {
    const all = await Promise.all([link.alive(), link.alive(), link.alive()]);
    expect(all).toEqual(Array(3).fill(['left', 'right']));
    clock.advance(999);
    nodes = async () => ['left'];
    expect(await link.alive()).toEqual(['left', 'right']);
    expect(calls).toEqual(['nodes']);
    clock.advance(1);
    expect(await link.alive()).toEqual(['left']);
    expect(calls).toEqual(['nodes', 'nodes']);
  });

  it('asks again for who may not trust an older answer, at most ten times a second for all of them', async () => {
    await link.alive();
    nodes = async () => ['left', 'right', 'new'];
    const waiting = Promise.all([link.alive(true), link.alive(true)]);
    clock.advance(99);
    await settle();
    expect(calls).toEqual(['nodes']);
    // Who does not ask for a fresh one is not kept waiting.
    expect(await link.alive()).toEqual(['left', 'right']);
    clock.advance(1);
    expect(await waiting).toEqual(Array(2).fill(['left', 'right', 'new']));
    expect(calls).toEqual(['nodes', 'nodes']);
    expect(await link.alive()).toEqual(['left', 'right', 'new']);
    clock.advance(100);
    await link.alive(true);
    expect(calls).toEqual(['nodes', 'nodes', 'nodes']);
  });

  it('gives a fresh answer that was asked for after the call, not one that is still under way', async () => {
    let answer: (found: readonly string[]) => void = () => undefined;
    nodes = () => new Promise((resolve) => (answer = resolve));
    const first = link.alive();
    const second = link.alive(true);
    await settle();
    answer(['left']);
    expect(await first).toEqual(['left']);
    clock.advance(100);
    await settle();
    answer(['left', 'new']);
    expect(await second).toEqual(['left', 'new']);
  });

  it('rejects where the broker cannot say, remembers nothing of it, and asks again the next time', async () => {
    nodes = () => Promise.reject(new RealtimeError('unavailable', 'away'));
    await expect(link.alive()).rejects.toMatchObject({ code: 'unavailable' });
    nodes = () => {
      throw new RealtimeError('timeout', 'thrown at once');
    };
    await expect(link.alive()).rejects.toMatchObject({ code: 'timeout' });
    await expect(Promise.all([link.alive(true), link.alive(true)])).rejects.toMatchObject({
      code: 'timeout',
    });
    nodes = async () => ['left'];
    expect(await link.alive()).toEqual(['left']);
  });

  it('hands what comes to those who listen to its topic, until they end that; nobody else hears it', () => {
    const heard: string[] = [];
    const note = (name: string) => (from: string, bytes: Uint8Array) =>
      void heard.push(`${name} ${from} ${bytes.join()}`);
    const endOne = link.listen('a', note('one'));
    const endTwo = link.listen('a', note('two'));
    link.receive('right', 'a', Uint8Array.of(1));
    link.receive('right', 'b', Uint8Array.of(2));
    endOne();
    endOne();
    link.receive('right', 'a', Uint8Array.of(3));
    endTwo();
    link.receive('right', 'a', Uint8Array.of(4));
    // An end of the first ones does not touch who came later.
    const endThree = link.listen('a', note('three'));
    endTwo();
    link.receive('right', 'a', Uint8Array.of(5));
    endThree();
    expect(heard).toEqual(['one right 1', 'two right 1', 'two right 3', 'three right 5']);
  });

  it('logs a listener that throws, and hands the message to the others and the next one to it', () => {
    let calls = 0;
    const heard: string[] = [];
    link.listen('a', () => {
      calls += 1;
      throw new Error('bug');
    });
    link.listen('a', (from) => void heard.push(from));
    for (const from of ['right', 'other']) link.receive(from, 'a', Uint8Array.of(1));
    expect([calls, heard]).toEqual([2, ['right', 'other']]);
    expect(
      logger.records.filter(({ message: text }) => text.includes('message of another node')),
    ).toHaveLength(1);
  });

  it('sends as the broker does', async () => {
    await link.send('right', 'a', Buffer.from('x'));
    expect(calls).toEqual(['right a x']);
  });
});

describe('the way between the nodes of a cluster', () => {
  const open: EngineHarness[] = [];
  afterEach(() => Promise.all(open.splice(0).map((each) => each.stop())));

  async function node(store: MemoryStore, nodeId: string): Promise<EngineHarness> {
    const made = await EngineHarness.start([channel('rooms.:room')], {
      broker: memoryBroker({ store }),
      settings: { nodeId },
    });
    open.push(made);
    return made;
  }

  it('carries bytes from transport to transport', async () => {
    const store = new MemoryStore();
    const [left, right] = [await node(store, 'left'), await node(store, 'right')];
    const heard: unknown[] = [];
    right.engine.host.nodes?.listen('a', (...message) => void heard.push(message));
    expect(await left.engine.host.nodes?.alive()).toEqual(['left', 'right']);
    await left.engine.host.nodes?.send('right', 'a', Uint8Array.of(7));
    expect(heard).toEqual([['left', Uint8Array.of(7)]]);
  });

  it('is not there with a broker that has none', async () => {
    const less = alteredBroker(memoryBroker(), { bus: { send: undefined } });
    const made = await EngineHarness.start([channel('rooms.:room')], { broker: less });
    open.push(made);
    expect(made.engine.host.nodes).toBeUndefined();
  });
});
