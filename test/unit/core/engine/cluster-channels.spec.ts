import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ServedChannelInfo } from '../../../../lib/core/engine/cluster/served-channels.js';
import { ClusterChannels } from '../../../../lib/core/engine/cluster/cluster-channels.js';
import { ClusterNodes } from '../../../../lib/core/engine/cluster/cluster-nodes.js';
import { LocalChannels } from '../../../../lib/core/engine/cluster/local-channels.js';
import type { NodeQuestions } from '../../../../lib/core/engine/cluster/node-questions.js';
import { VERSION } from '../../../../lib/core/ports/version.js';
import { startCluster } from '../../../support/engine/cluster.js';
import { channel, type EngineHarness, quiet } from '../../../support/engine/harness.js';
import { type ManualClock } from '../../../support/engine/manual-clock.js';

describe('the channels and nodes of a cluster', () => {
  let clock: ManualClock;
  let nodes: EngineHarness[];
  let deaf: Set<string>;

  beforeEach(async () => {
    ({ clock, nodes, deaf } = await startCluster([channel('rooms.:room'), channel('halls.:hall')]));
  });
  afterEach(() => Promise.all(nodes.map((node) => node.stop())));

  const at = (index: number): EngineHarness => nodes[index] as EngineHarness;
  async function come(index: number, ...rooms: string[]) {
    const connection = at(index).connect();
    connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'user:ada' } });
    await quiet();
    for (const room of rooms) connection.send({ type: 'subscribe', id: room, channel: room });
    await quiet();
  }
  async function all(limit: number, from = 0, of?: string): Promise<ServedChannelInfo[]> {
    const found: ServedChannelInfo[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await at(from).engine.channels.list(of, { cursor, limit });
      expect(page.channels.length).toBeLessThanOrEqual(limit);
      expect(page.missing).toEqual([]);
      found.push(...page.channels);
      if ((cursor = page.more) === undefined) return found;
    }
  }
  const short = (found: readonly ServedChannelInfo[]) =>
    found.map((served) => `${served.channel} ${served.subscribers}/${served.nodes}`);

  it('are listed by name in pages of any size, each once, with the subscribers of all nodes', async () => {
    await come(0, 'rooms.1', 'rooms.3', 'rooms.5');
    await come(0, 'rooms.1');
    await come(1, 'rooms.2', 'rooms.3', 'halls.9');
    await come(2, 'rooms.1', 'rooms.4', 'rooms.6', 'rooms.7');
    const expected = [
      'halls.9 1/1',
      'rooms.1 3/2',
      'rooms.2 1/1',
      'rooms.3 2/2',
      'rooms.4 1/1',
      'rooms.5 1/1',
    ];
    expected.push('rooms.6 1/1', 'rooms.7 1/1');
    for (const limit of [1, 2, 3, 4, 5, 7, 8, 9, 1_000])
      for (const from of [0, 2]) expect(short(await all(limit, from))).toEqual(expected);
    expect(short(await all(1, 1, 'rooms.3'))).toEqual(['rooms.3 2/2']);
    expect(short(await all(1, 1, 'halls.:x'))).toEqual(['halls.9 1/1']);
    expect((await all(9))[0]?.pattern).toBe('halls.:hall');
    expect(await all(9, 0, 'rooms.99')).toEqual([]);
    // A page that ends with the last of them has none behind it.
    expect((await at(0).engine.channels.list(undefined, { limit: 8 })).more).toBeUndefined();
  });

  it('name a node that does not answer, and refuse what is no cursor and no channel', async () => {
    await come(0, 'rooms.1');
    await come(1, 'rooms.1', 'rooms.2');
    deaf.add('node-1');
    const asked = [
      at(0).engine.channels.list(undefined, { limit: 10 }),
      at(0).engine.nodes.list({ limit: 10 }),
    ] as const;
    await clock.advanceAsync(1_999);
    await quiet();
    await clock.advanceAsync(1);
    const [channels, status] = await Promise.all(asked);
    expect([short(channels.channels), channels.missing]).toEqual([['rooms.1 1/1'], ['node-1']]);
    expect([status.nodes.map(({ node }) => node), status.missing]).toEqual([
      ['node-0', 'node-2'],
      ['node-1'],
    ]);
    const list = at(0).engine.channels;
    for (const cursor of ['', '!', Buffer.from('a..b').toString('base64url'), 'x'.repeat(600)])
      await expect(list.list(undefined, { cursor, limit: 1 })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(list.list('a..b', { limit: 1 })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(at(0).engine.nodes.list({ cursor: 'x'.repeat(129), limit: 1 })).rejects.toMatchObject({
      code: 'bad_request',
    });
  });

  it('say how each node is, page by page', async () => {
    await come(1, 'rooms.1', 'rooms.2');
    at(2).engine.beginDrain();
    const first = await at(0).engine.nodes.list({ limit: 2 });
    const same = { version: VERSION, started: true, broker: 'up', withholding: false };
    expect(first).toEqual({
      nodes: [
        { node: 'node-0', draining: false, sessions: 0, channels: 0, ...same },
        { node: 'node-1', draining: false, sessions: 1, channels: 2, ...same },
      ],
      more: 'node-1',
      missing: [],
    });
    const { nodes: rest, more } = await at(0).engine.nodes.list({ limit: 2, cursor: 'node-1' });
    expect(rest).toMatchObject([{ node: 'node-2', draining: true }]);
    expect(more).toBeUndefined();
    expect((await at(0).engine.nodes.list({ limit: 3 })).more).toBeUndefined();
  });
});

/** Questions to many nodes, of which each has its answers by name. */
function questionsOf(nodes: readonly string[], answer: (node: string, body: unknown) => unknown) {
  const waves: number[] = [];
  const served = new Map<string, (body: unknown) => unknown>();
  const questions = {
    serve: (kind: string, answerer: (body: unknown) => unknown) => served.set(kind, answerer),
    nodes: async () => Promise.resolve(nodes),
    ask: async (
      _kind: string,
      body: unknown,
      asked: { nodes: readonly string[]; read: (answer: unknown) => unknown },
    ) => {
      waves.push(asked.nodes.length);
      const read = asked.nodes.map((node) => [node, asked.read(answer(node, body))] as const);
      const byNode = new Map(read.filter(([, known]) => known !== undefined));
      return Promise.resolve({ byNode, missing: asked.nodes.filter((node) => !byNode.has(node)) });
    },
  } as unknown as NodeQuestions;
  return { questions, waves, served };
}

describe('channels of many nodes', () => {
  const local = new LocalChannels({ channels: () => [] }, { monotonic: () => 0 });
  const names = Array.from({ length: 40 }, (_, index) => `node-${String(index).padStart(2, '0')}`);

  it('are asked of sixteen nodes at a time, and merged as if they had been one', async () => {
    // Node n has every channel whose number n divides.
    const own = (node: string) => {
      const step = Number(node.slice(5)) + 1;
      const numbers = Array.from({ length: Math.floor(100 / step) }, (_, index) => (index + 1) * step);
      return numbers.map((number) => `c.${String(number).padStart(3, '0')}`);
    };
    const { questions, waves } = questionsOf(names, (node, body) => {
      const { a, n } = body as { a: string; n: number };
      const behind = own(node).filter((name) => name > a);
      return { c: behind.slice(0, n).map((name) => [name, 'c.:n', 1]), m: behind.length > n };
    });
    const cluster = new ClusterChannels(questions, local);
    const found: ServedChannelInfo[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await cluster.list(undefined, { cursor, limit: 7 });
      found.push(...page.channels);
      if ((cursor = page.more) === undefined) break;
      expect(page.channels).toHaveLength(7);
    }
    expect(waves.slice(0, 3)).toEqual([16, 16, 8]);
    const serving = (number: number) => names.filter((_, index) => number % (index + 1) === 0).length;
    expect(found.map(({ channel: name, nodes }) => [name, nodes])).toEqual(
      Array.from({ length: 100 }, (_, index) => [
        `c.${String(index + 1).padStart(3, '0')}`,
        serving(index + 1),
      ]),
    );
  });

  it.each([
    ['no list', { c: 7, m: false }],
    [
      'more than was asked for',
      {
        c: [
          ['a', 'a', 1],
          ['b', 'b', 1],
          ['c', 'c', 1],
        ],
        m: false,
      },
    ],
    ['no flag', { c: [] }],
    ['a name that is none', { c: [['a..b', 'a', 1]], m: false }],
    ['a count that is none', { c: [['a', 'a', -1]], m: false }],
    ['a pattern that is too long', { c: [['a', 'a'.repeat(600), 1]], m: false }],
    ['an entry that is none', { c: ['a'], m: false }],
  ])('an answer with %s counts as none', async (_what, answer) => {
    const { questions } = questionsOf(['node-0'], () => answer);
    const page = await new ClusterChannels(questions, local).list(undefined, { limit: 2 });
    expect(page).toEqual({ channels: [], missing: ['node-0'] });
  });

  it('a question that another node cannot mean is not answered', async () => {
    const { questions, served } = questionsOf(['node-0'], () => undefined);
    const cluster = new ClusterChannels(questions, local);
    expect(cluster).toBeDefined();
    const answerer = served.get('channels.list') as (body: unknown) => Promise<unknown>;
    expect(await answerer({ a: '', n: 5 })).toEqual({ c: [], m: false });
    for (const body of [
      undefined,
      {},
      { a: 'a..b', n: 1 },
      { a: '', n: 0 },
      { a: '', n: 1, c: 7 },
      { a: '', n: 1, c: '..' },
    ])
      await expect(answerer(body)).rejects.toThrow(RangeError);
  });

  it('a status with a wrong field counts as none, and one of a newer version is read', async () => {
    const status = {
      version: '9',
      started: true,
      draining: false,
      broker: 'up',
      withholding: false,
      sessions: 1,
      channels: 2,
    } as const;
    const wrong = [{ version: 7 }, { started: 1 }, { draining: 'no' }, { broker: 'away' }, { sessions: -1 }];
    const answers: unknown[] = [
      { ...status, later: 'x' },
      ...wrong.map((part) => ({ ...status, ...part })),
      null,
    ];
    const asked = answers.map((_, index) => `node-${index}`);
    const { questions } = questionsOf(asked, (node) => answers[Number(node.slice(5))]);
    const page = await new ClusterNodes(questions, () => status).list({ limit: 10 });
    expect(page).toEqual({ nodes: [{ node: 'node-0', ...status }], missing: asked.slice(1) });
  });
});
