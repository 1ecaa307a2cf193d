import type { ContractNode } from './harness.js';
import type { Random } from './random.js';
import { range, type ContractContext } from './context.js';

type Step =
  | { readonly kind: 'append'; readonly node: 0 | 1; readonly count: number }
  | { readonly kind: 'toggle'; readonly node: 0 | 1 }
  | { readonly kind: 'breathe' };

const side = (random: Random) => random.pick([0, 1]);

function step(random: Random): Step {
  const kind = random.pick(['append', 'append', 'append', 'append', 'toggle', 'toggle', 'toggle', 'breathe']);
  if (kind === 'append') return { kind, node: side(random), count: random.int(1, 4) };
  return kind === 'toggle' ? { kind, node: side(random) } : { kind };
}

/** One subscription of one node: everything after the tip that `subscribe` gave must be pushed. */
interface Span {
  readonly node: 0 | 1;
  readonly tip: number;
  /** Index of the first pushed event that came after `subscribe` was called. */
  readonly start: number;
  /** Index after the last event that was pushed before `unsubscribe` was called. */
  end?: number;
}

/** Randomized: subscribe, unsubscribe and append at the same time. */
export function interleavingContract(context: ContractContext): void {
  const { it, expect } = context;

  it('G2 G7 P12 whatever is appended meanwhile: after the tip of `subscribe` nothing is missing, on any node', async () => {
    const nodes = await context.twoNodes();
    await context.check({
      make: (random) => random.list(2, 40, step),
      check: (steps) => playSteps(context, nodes, steps),
    });
  });

  it('G7 P12 a replay up to the tip of `subscribe` and what is pushed after it meet exactly', async () => {
    const [writer, reader] = await context.twoNodes();
    await context.check({
      make: (random) => ({ before: random.int(0, 20), during: random.int(0, 20), cut: random.int(0, 20) }),
      check: async ({ before, during, cut }) => {
        const channel = context.channel();
        const write = (count: number, name: string) =>
          range(1, count).map((number) => context.append(writer, channel, [`${name}${number}`]));
        await Promise.all(write(before, 'before'));
        const cursor = Math.min(cut, before);
        const early = write(Math.floor(during / 2), 'early');
        const subscribed = reader.broker.log.subscribe(channel);
        const late = write(Math.ceil(during / 2), 'late');
        const tip = await subscribed;
        const replay = await reader.broker.log.read({
          channel,
          epoch: tip.epoch,
          from: cursor + 1,
          until: tip.seq,
          limit: 1_000,
        });
        await Promise.all([...early, ...late]);
        await context.eventually(() => {
          const pushed = reader.seen.seqsOf(channel).filter((seq) => seq > tip.seq);
          const replayed = replay.events.map((event) => event.seq);
          expect([...replayed, ...pushed]).toEqual(range(cursor + 1, before + during));
        });
      },
    });
  });
}

async function playSteps(
  context: ContractContext,
  nodes: readonly [ContractNode, ContractNode],
  steps: readonly Step[],
): Promise<void> {
  const { expect } = context;
  const channel = context.channel();
  const seen = (node: 0 | 1) => nodes[node].seen.seqsOf(channel);
  const spans: Span[] = [];
  const current: (Span | undefined)[] = [undefined, undefined];
  const appends: Promise<unknown>[] = [];
  // One caller per node subscribes and unsubscribes, and awaits each call; appends come at any time.
  const chains: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];
  let written = 0;

  async function toggle(node: 0 | 1): Promise<void> {
    const open = current[node];
    if (open === undefined) {
      const start = seen(node).length;
      const { seq: tip } = await nodes[node].broker.log.subscribe(channel);
      const span: Span = { node, tip, start };
      current[node] = span;
      spans.push(span);
      return;
    }
    open.end = seen(node).length;
    current[node] = undefined;
    await nodes[node].broker.log.unsubscribe(channel);
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
  await context.eventually(() => {
    for (const span of spans) {
      const seqs = told(span);
      // A span that is still open ends at the tip; a closed one ends anywhere, but has no gap.
      const last = span.end === undefined ? written : (seqs.at(-1) ?? span.tip);
      expect(seqs).toEqual(range(span.tip + 1, last));
    }
  });
  const log = await context.log(nodes[0], channel);
  expect(log.map((event) => event.seq)).toEqual(range(1, written));
  const byId = new Map(log.map((event) => [event.seq, event.id]));
  for (const node of nodes) {
    for (const event of node.seen.eventsOf(channel)) expect(event.id).toBe(byId.get(event.seq));
    await node.broker.log.unsubscribe(channel);
  }
}
