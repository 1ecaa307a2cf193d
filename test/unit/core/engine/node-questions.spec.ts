import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ThrottledLog } from '../../../../lib/core/async/throttled-log.js';
import { NodeQuestions, QUESTION_TOPIC } from '../../../../lib/core/engine/cluster/node-questions.js';
import { decodeQuestion, encodeQuestion } from '../../../../lib/core/engine/cluster/question-codec.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

type Receive = (from: string, bytes: Uint8Array) => void;

/** A bus between nodes that loses, holds back and repeats what a test wants. */
class FakeBus {
  readonly receivers = new Map<string, Receive>();
  readonly held: (() => void)[] = [];
  readonly sent: [from: string, to: string][] = [];
  names: readonly string[] = ['a', 'b', 'c'];
  lost = new Set<string>();
  holds = false;

  link(nodeId: string) {
    return {
      nodeId,
      inProcess: false,
      alive: async () => this.names,
      listen: (topic: string, receive: Receive) => {
        expect(topic).toBe(QUESTION_TOPIC);
        this.receivers.set(nodeId, receive);
        return () => void this.receivers.delete(nodeId);
      },
      send: async (node: string, _topic: string, bytes: Uint8Array) => {
        this.sent.push([nodeId, node]);
        if (this.lost.has(node) || this.lost.has(nodeId)) return;
        const copy = Uint8Array.from(bytes);
        const deliver = () => this.receivers.get(node)?.(nodeId, copy);
        if (this.holds) this.held.push(deliver);
        else queueMicrotask(deliver);
      },
    };
  }
}

describe('a question to all nodes', () => {
  const clock = new ManualClock();
  let bus: FakeBus;
  let logger: RecordingLogger;
  let nodes: Map<string, NodeQuestions>;
  const read = (answer: unknown) => (typeof answer === 'string' ? answer : undefined);
  const node = (name: string): NodeQuestions => {
    const found = nodes.get(name);
    if (found === undefined) throw new Error(name);
    return found;
  };
  const ask = (kind = 'name', names: readonly string[] = bus.names) =>
    node('a').ask(kind, { text: 'é' }, { nodes: names, timeoutMs: 500, read });

  beforeEach(() => {
    bus = new FakeBus();
    logger = new RecordingLogger();
    nodes = new Map(
      ['a', 'b', 'c'].map((nodeId, index) => {
        const journal = new ThrottledLog(logger, clock);
        const entropy = new SeededEntropy(index + 1);
        return [
          nodeId,
          new NodeQuestions({ nodeId, link: bus.link(nodeId), bus: {}, clock, entropy, journal }),
        ];
      }),
    );
    for (const [name, questions] of nodes)
      questions.serve('name', (body, from) => `${name} to ${from}: ${(body as { text: string }).text}`);
  });
  afterEach(async () => {
    await Promise.all([...nodes.values()].map((questions) => questions.close()));
  });

  it('is answered by each of them, this one without a message', async () => {
    const { byNode, missing } = await ask();
    expect([...byNode].sort()).toEqual([
      ['a', 'a to a: é'],
      ['b', 'b to a: é'],
      ['c', 'c to a: é'],
    ]);
    expect(missing).toEqual([]);
    expect(bus.sent).not.toContainEqual(['a', 'a']);
    expect(node('a').size).toBe(0);
  });

  it('names a node that does not answer in time, and drops its late answer', async () => {
    bus.lost.add('c');
    const answers = ask();
    await settle();
    clock.advance(499);
    await settle();
    expect(node('a').size).toBe(1);
    clock.advance(1);
    expect((await answers).missing).toEqual(['c']);
    bus.lost.clear();
    bus.holds = true;
    const second = ask();
    await settle();
    for (const deliver of bus.held.splice(0)) deliver();
    clock.advance(500);
    expect((await second).missing).toEqual(['b', 'c']);
    for (const deliver of bus.held.splice(0)) deliver();
    expect(node('a').size).toBe(0);
  });

  it('takes answers in any order, each node once, and none from a node that was not asked', async () => {
    bus.holds = true;
    const answers = ask('name', ['b', 'c']);
    await settle();
    for (const deliver of bus.held.splice(0)) deliver();
    await settle();
    const [first, second] = bus.held.splice(0);
    second?.();
    second?.();
    const process = new SeededEntropy(1).token();
    bus.receivers.get('a')?.('x', encodeQuestion({ type: 'answer', process, number: 1, body: 'x' }));
    expect(node('a').size).toBe(1);
    first?.();
    expect([...(await answers).byNode.keys()]).toEqual(['c', 'b']);
  });

  it('names a node at once that does not know it, throws, cannot send, or answers what cannot be read', async () => {
    node('b').serve('new', () => 7);
    expect((await ask('new', ['b', 'c'])).missing).toEqual(['b', 'c']);
    node('c').serve('new', () => {
      throw new Error('broken');
    });
    node('b').serve('new', () => Promise.reject(new Error('broken')));
    expect((await ask('new', ['a', 'b', 'c'])).missing).toEqual(['a', 'b', 'c']);
    expect(logger.records.map(({ message }) => message).join()).toContain('cannot read');
  });

  it('refuses bytes that are none with one line in the log, and answers nothing', () => {
    const process = 'p';
    const good = encodeQuestion({ type: 'ask', process, number: 1, kind: 'name', body: 1 });
    const broken = [
      new Uint8Array(),
      Uint8Array.from([2, ...good.subarray(1)]),
      good.subarray(0, good.length - 1),
      Buffer.from('\x01null'),
      Buffer.from('\x01{"t":"ask","p":"p","i":1.5,"k":"name"}'),
      Buffer.from('\x01{"t":"ask","p":"p","i":1,"k":7}'),
      Buffer.from('\x01{"t":"other","p":"p","i":1}'),
      Buffer.alloc(5 * 1024 * 1024, 1),
    ];
    for (const bytes of broken) {
      expect(decodeQuestion(bytes)).toBeUndefined();
      bus.receivers.get('b')?.('a', bytes);
    }
    expect(bus.sent).toEqual([]);
    expect(logger.records.map(({ level }) => level)).toEqual(['warn']);
  });

  it('is refused above 1024 that are under way, and what is too large to send names all others', async () => {
    bus.lost = new Set(['b']);
    const waiting = Array.from({ length: 1_024 }, () => ask('name', ['b']));
    await expect(ask('name', ['b'])).rejects.toMatchObject({ code: 'unavailable' });
    clock.advance(500);
    await Promise.all(waiting);
    const large = { text: 'x'.repeat(4 * 1024 * 1024) };
    const { missing } = await node('a').ask('name', large, { nodes: ['a', 'b'], timeoutMs: 500, read });
    expect(missing).toEqual(['b']);
  });

  it('a node serves at most 256 at a time, and says no to more', async () => {
    node('b').serve('slow', () => new Promise(() => undefined));
    const all = Array.from({ length: 257 }, () => ask('slow', ['b']));
    let refused = 0;
    for (const each of all) void each.then(() => refused++);
    await settle();
    expect(refused).toBe(1);
    clock.advance(500);
    await Promise.all(all);
  });

  it('does not wait for a node that stops, and asks one that asked before the list has it', async () => {
    bus.names = ['a', 'b'];
    expect(await node('a').nodes(100)).toEqual(['a', 'b']);
    await node('c').ask('name', { text: '' }, { nodes: ['a'], timeoutMs: 500, read });
    expect(await node('a').nodes(100)).toEqual(['a', 'b', 'c']);
    node('b').serve('slow', () => new Promise(() => undefined));
    const waits = ask('slow', ['b']);
    await settle();
    await node('b').close();
    expect((await waits).missing).toEqual(['b']);
    expect(await node('a').nodes(100)).toEqual(['a', 'c']);
    clock.advance(2_000);
    expect(await node('a').nodes(100)).toEqual(['a', 'b']);
  });

  it('a node is alone for a second after nobody else lived, and not once another has asked', async () => {
    expect(node('a').isAlone).toBe(false);
    bus.names = ['a'];
    await node('a').nodes(100);
    expect(node('a').isAlone).toBe(true);
    clock.advance(999);
    expect(node('a').isAlone).toBe(true);
    await node('b').ask('name', { text: '' }, { nodes: ['a'], timeoutMs: 500, read });
    expect(node('a').isAlone).toBe(false);
    clock.advance(1);
    expect(node('a').isAlone).toBe(false);
  });
});
