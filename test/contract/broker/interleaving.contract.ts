import { expect, it } from '@jest/globals';
import type { ContractNode } from './broker.harness.js';
import { eventually, range, type ContractContext } from './contract.context.js';
import fc from '../../support/property.js';

type Step =
  | { readonly kind: 'append'; readonly node: 0 | 1; readonly count: number }
  | { readonly kind: 'toggle'; readonly node: 0 | 1 }
  | { readonly kind: 'breathe' };

const side = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      node: side,
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('toggle' as const), node: side }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('breathe' as const) }) },
);

/** One time of interest of one node: from the tip that `subscribe` gave on, what was told. */
interface Span {
  readonly node: 0 | 1;
  readonly tip: number;
  /** Index of the first pushed event that came after `subscribe` was called. */
  readonly start: number;
  /** Index behind the last pushed event before `unsubscribe` was called, and the tip that had been told by then. */
  end?: number;
}

export function interleavingContract(context: ContractContext): void {
  it('G2 G7 P12 whatever is appended meanwhile: behind the tip of `subscribe` nothing is missing, on any node', async () => {
    const nodes = await context.twoNodes();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 40 }), async (steps) => {
        await playSteps(context, nodes, steps);
      }),
      { numRuns: context.harness.runs },
    );
  });

  it('G7 P12 a replay up to the tip of `subscribe` and what is pushed behind it meet exactly', async () => {
    const [writer, reader] = await context.twoNodes();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 20 }),
        async (before, during, cut) => {
          const channel = context.channel();
          const write = (count: number, name: string) =>
            range(1, count).map((number) => context.append(writer, channel, [`${name}${number}`]));
          await Promise.all(write(before, 'before'));
          const cursor = Math.min(cut, before);
          const early = write(Math.floor(during / 2), 'early');
          const subscribed = reader.broker.subscribe(channel);
          const late = write(Math.ceil(during / 2), 'late');
          const tip = await subscribed;
          const replay = await reader.broker.read({
            channel,
            epoch: tip.epoch,
            from: cursor + 1,
            until: tip.seq,
            limit: 1_000,
          });
          await Promise.all([...early, ...late]);
          await eventually(() => {
            const pushed = reader.seen.seqsOf(channel).filter((seq) => seq > tip.seq);
            const replayed = replay.events.map((event) => event.seq);
            expect([...replayed, ...pushed]).toEqual(range(cursor + 1, before + during));
          });
        },
      ),
      { numRuns: context.harness.runs },
    );
  });
}

async function playSteps(
  context: ContractContext,
  nodes: readonly [ContractNode, ContractNode],
  steps: readonly Step[],
): Promise<void> {
  const channel = context.channel();
  const seen = (node: 0 | 1) => nodes[node].seen.seqsOf(channel);
  const spans: Span[] = [];
  const current: (Span | undefined)[] = [undefined, undefined];
  const appends: Promise<unknown>[] = [];
  // The port is told of interest by one owner per node, which awaits; appends come whenever they like.
  const chains: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];
  let written = 0;

  async function toggle(node: 0 | 1): Promise<void> {
    const open = current[node];
    if (open === undefined) {
      const start = seen(node).length;
      const { seq: tip } = await nodes[node].broker.subscribe(channel);
      const span: Span = { node, tip, start };
      current[node] = span;
      spans.push(span);
      return;
    }
    open.end = seen(node).length;
    current[node] = undefined;
    await nodes[node].broker.unsubscribe(channel);
  }

  for (const move of steps) {
    if (move.kind === 'append') {
      const names = range(written + 1, written + move.count).map((number) => `e${number}`);
      written += move.count;
      appends.push(context.append(nodes[move.node], channel, names));
    } else if (move.kind === 'toggle') {
      const { node } = move;
      chains[node] = chains[node].then(() => toggle(node));
    } else {
      await Promise.all(chains);
    }
  }
  await Promise.all([...chains, ...appends]);

  const told = (span: Span) =>
    seen(span.node)
      .slice(span.start, span.end)
      .filter((seq) => seq > span.tip);
  await eventually(() => {
    for (const span of spans) {
      const seqs = told(span);
      // A span that is still open ends at the tip; a closed one anywhere, but without a hole.
      const last = span.end === undefined ? written : (seqs.at(-1) ?? span.tip);
      expect(seqs).toEqual(range(span.tip + 1, last));
    }
  });
  const log = await context.log(nodes[0], channel);
  expect(log.map((event) => event.seq)).toEqual(range(1, written));
  const byId = new Map(log.map((event) => [event.seq, event.id]));
  for (const node of nodes) {
    for (const event of node.seen.eventsOf(channel)) expect(event.id).toBe(byId.get(event.seq));
    await node.broker.unsubscribe(channel);
  }
}
