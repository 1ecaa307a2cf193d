import { beforeEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { Answerer } from '../../../../lib/core/engine/cluster/node-questions.js';
import { PathCheck, type PathReport } from '../../../../lib/core/engine/cluster/path-check.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

describe('the check whether events reach a node, or any (G20)', () => {
  let clock: ManualClock;
  let nodes: readonly string[] | Error;
  let answers: Map<string, unknown>;
  let asked: (readonly string[])[];
  let probes: number;
  let probe: (timeoutMs: number) => Promise<number>;
  let serve: Answerer | undefined;
  let report: PathReport | undefined;

  function never(timeoutMs: number): Promise<number> {
    return new Promise((_, reject) => clock.schedule(timeoutMs, () => reject(new Error('no echo'))));
  }

  function start(): PathCheck {
    return new PathCheck({
      clock,
      probe: (timeoutMs) => (probes++, probe(timeoutMs)),
      questions: {
        nodeId: 'a',
        serve: (_kind, answerer) => (serve = answerer),
        nodes: () => (nodes instanceof Error ? Promise.reject(nodes) : Promise.resolve(nodes)),
        ask: (_kind, _body, { nodes: whom, timeoutMs, read }) => {
          asked.push(whom);
          const byNode = new Map(
            whom.flatMap((node) => {
              const known = read(answers.get(node));
              return known === undefined ? [] : [[node, known] as const];
            }),
          );
          const missing = whom.filter((node) => !byNode.has(node));
          return new Promise((resolve) =>
            clock.schedule(missing.length > 0 ? timeoutMs : 1, () => resolve({ byNode, missing })),
          );
        },
      },
    });
  }

  beforeEach(() => {
    clock = new ManualClock();
    nodes = ['a', 'b', 'c'];
    answers = new Map();
    asked = [];
    probes = 0;
    probe = never;
    report = undefined;
  });

  async function within(ms: number): Promise<PathReport | undefined> {
    void start()
      .run(2_000)
      .then((found) => (report = found));
    await clock.advanceAsync(ms);
    return report;
  }

  it('asks nobody where the probe returns in the first half of its time', async () => {
    probe = () => new Promise((resolve) => clock.schedule(900, () => resolve(900)));
    expect(await within(900)).toEqual({ roundTripMs: 900 });
    await clock.advanceAsync(5_000);
    expect(asked).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('a late probe that returns counts, whatever others say', async () => {
    probe = () => new Promise((resolve) => clock.schedule(1_900, () => resolve(1_900)));
    expect(await within(1_900)).toEqual({ roundTripMs: 1_900 });
    expect(asked).toEqual([['b', 'c']]);
  });

  it('is there when the time of the probe is over, also where no node answers', async () => {
    expect(await within(1_999)).toBeUndefined();
    await clock.advanceAsync(1);
    expect(report).toEqual({ cause: 'no echo', peers: 'silent' });
    expect(asked).toHaveLength(1);
  });

  it.each([
    [
      'works',
      [
        ['b', { works: false }],
        ['c', { works: true }],
      ],
    ],
    ['works', [['c', { works: true }]]],
    [
      'fails',
      [
        ['b', { works: false }],
        ['c', { works: false }],
      ],
    ],
    ['fails', [['b', { works: false }]]],
    [
      'silent',
      [
        ['b', { works: 1 }],
        ['c', null],
      ],
    ],
  ] as const)('says that the path of others %s, by those that answered: %j', async (peers, given) => {
    answers = new Map<string, unknown>(given);
    probe = () => Promise.reject(new Error('refused'));
    expect(await within(2_000)).toEqual({ cause: 'refused', peers });
  });

  it('says that there is none beside it', async () => {
    nodes = ['a'];
    expect(await within(2_000)).toEqual({ cause: 'no echo', peers: 'none' });
    expect(asked).toEqual([]);
  });

  it('takes nodes that cannot be listed for silent', async () => {
    nodes = new Error('away');
    expect(await within(2_000)).toEqual({ cause: 'no echo', peers: 'silent' });
  });

  it.each([
    ['fails', ['a', 'b'], { works: false }],
    ['works', ['a', 'b'], { works: true }],
    ['refused', ['a', 'b'], undefined],
    ['refused', ['a'], undefined],
    ['refused', new Error('away'), undefined],
  ] as const)(
    'of a probe that the broker refuses says %s with nodes %j and the answer %j',
    async (peers, known, answer) => {
      nodes = known;
      if (answer !== undefined) answers.set('b', answer);
      probe = () => Promise.reject(new RealtimeError('unavailable', 'full'));
      expect(await within(2_000)).toEqual({ cause: 'full', peers });
    },
  );

  it.each([
    ['none', ['a']],
    ['silent', ['a', 'b']],
  ] as const)('a probe with an unknown outcome is not refused: %s', async (peers, known) => {
    nodes = known;
    probe = () => Promise.reject(new RealtimeError('timeout', 'late'));
    expect(await within(2_000)).toEqual({ cause: 'late', peers });
  });

  it('asks five of many', async () => {
    nodes = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    await within(2_000);
    expect(asked).toEqual([['b', 'c', 'd', 'e', 'f']]);
  });

  it('probes once a second however many ask, and for no longer than a second', async () => {
    start();
    const said: unknown[] = [];
    const ask = (): void => {
      for (let node = 0; node < 3; node++)
        void Promise.resolve(serve?.({}, 'b')).then((answer) => said.push(answer));
    };
    ask();
    await clock.advanceAsync(999);
    ask();
    expect(probes).toBe(1);
    expect(said).toEqual([]);
    await clock.advanceAsync(1);
    expect(said).toEqual(Array(6).fill({ works: false }));
    probe = () => Promise.resolve(1);
    ask();
    await settle();
    expect(probes).toBe(2);
    expect(said.slice(6)).toEqual(Array(3).fill({ works: true }));
  });
});
