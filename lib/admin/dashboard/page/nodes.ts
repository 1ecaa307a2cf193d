import { fill, h, table } from './dom.js';
import { bytes, count, duration } from './format.js';
import type { NodeSample } from './samples.js';
import { sentenceOf, type ShownView, type View, type ViewContext } from './view.js';

interface NodeInfo {
  readonly node: string;
  readonly version: string;
  readonly started: boolean;
  readonly draining: boolean;
  readonly broker: 'up' | 'down';
  readonly withholding: boolean;
  readonly sessions: number;
  readonly channels: number;
}

const EVERY_MS = 2_000;

export const NODES: View = {
  id: 'nodes',
  title: 'Nodes',
  show: (context) => new Nodes(context),
};

class Nodes implements ShownView {
  private readonly list = h('div', {}, h('p', { class: 'empty' }, 'Asking the nodes…'));
  readonly element = h('div', { class: 'view' }, h('h2', {}, 'Nodes'), this.list);
  private readonly timer = setInterval(() => void this.ask(), EVERY_MS);

  constructor(private readonly context: ViewContext) {
    void this.ask();
  }

  end(): void {
    clearInterval(this.timer);
  }

  private async ask(): Promise<void> {
    const { api, samples } = this.context;
    try {
      const page = await api.get<{ nodes: readonly NodeInfo[]; missing: readonly string[] }>('nodes');
      const read = new Map(samples.last?.nodes.map((sample) => [sample.node, sample.readings]));
      fill(this.list, nodesTable(page.nodes, read), missingOf(page.missing));
    } catch (error) {
      fill(this.list, h('p', { class: 'empty' }, sentenceOf(error)));
    }
  }
}

function nodesTable(
  nodes: readonly NodeInfo[],
  read: ReadonlyMap<string, NodeSample['readings']>,
): HTMLElement {
  const reading =
    (name: string, show: (value: number) => string) =>
    ({ node }: NodeInfo): string => {
      const value = read.get(node)?.[name];
      return value === undefined ? '–' : show(value);
    };
  return table(
    'Nodes of the cluster',
    [
      { title: 'Node', of: ({ node }) => node },
      {
        title: 'State',
        of: (node) => h('span', { class: `state ${isWell(node) ? 'good' : 'bad'}` }, stateOf(node)),
      },
      { title: 'Version', of: ({ version }) => version },
      { title: 'Connections', isNumber: true, of: ({ sessions }) => count(sessions) },
      { title: 'Channels', isNumber: true, of: ({ channels }) => count(channels) },
      { title: 'Loop delay', isNumber: true, of: reading('loop_delay_ms', duration) },
      { title: 'Waiting', isNumber: true, of: reading('queue_bytes', bytes) },
      { title: 'Memory', isNumber: true, of: reading('rss_bytes', bytes) },
    ],
    nodes,
    'No node answered.',
  );
}

function missingOf(missing: readonly string[]): HTMLElement | false {
  return missing.length > 0 && h('p', { class: 'bad' }, `No answer from ${missing.join(', ')}.`);
}

function isWell({ started, draining, broker, withholding }: NodeInfo): boolean {
  return started && !draining && broker === 'up' && !withholding;
}

function stateOf({ started, draining, broker, withholding }: NodeInfo): string {
  if (draining) return 'draining';
  if (!started) return 'starting';
  if (broker === 'down') return withholding ? 'no broker, withholding' : 'no broker';
  return withholding ? 'withholding' : 'serving';
}
