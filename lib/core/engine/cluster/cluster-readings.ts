import { isRecord } from '../../../protocol/validation/checks.js';
import type { NodeQuestions } from './node-questions.js';

const READINGS = 'nodes.readings';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most nodes that are asked at the same time, and for one answer. */
export const MAX_READ_NODES = 256;
/** Most values of a node. */
export const MAX_READINGS = 256;
/** A word of a name, as code or an application's pattern writes it; short, as each answer repeats it. */
const NAME = /^[\w.:$-]{1,160}$/;

/** What a node counts and measures, by name. A counter grows from its start on, a gauge goes up and down; which is which the name says. */
export type Readings = Readonly<Record<string, number>>;

/** The readings of nodes. */
export interface NodeReadings {
  readonly nodes: readonly { readonly node: string; readonly readings: Readings }[];
  /** Ids of live nodes that did not answer in time, or do not know the question. */
  readonly missing: readonly string[];
}

/** Asks the nodes for what they count and measure. Nothing of it is kept. */
export class ClusterReadings {
  private own: () => Readings = () => ({});

  constructor(private readonly questions: NodeQuestions) {
    questions.serve(READINGS, () => this.own());
  }

  /** @param own called whenever a node asks; at most {@link MAX_READINGS} values. */
  serve(own: () => Readings): void {
    this.own = own;
  }

  /** Of this node alone: what can be known when no other can be reached. */
  local(): NodeReadings {
    return { nodes: [{ node: this.questions.nodeId, readings: this.own() }], missing: [] };
  }

  /**
   * Of the first {@link MAX_READ_NODES} nodes, by name.
   *
   * @throws RealtimeError `unavailable` or `timeout` where the nodes are not known.
   */
  async list(): Promise<NodeReadings> {
    const all = await this.questions.nodes(TIMEOUT_MS);
    const nodes = all.slice(0, MAX_READ_NODES);
    const { byNode, missing } = await this.questions.ask(
      READINGS,
      {},
      { nodes, timeoutMs: TIMEOUT_MS, read: readReadings },
    );
    const found = nodes.flatMap((node) => {
      const readings = byNode.get(node);
      return readings === undefined ? [] : [{ node, readings }];
    });
    return { nodes: found, missing: [...missing, ...all.slice(MAX_READ_NODES)] };
  }
}

/** Reads what another node says, perhaps of a newer version. @returns `undefined` for what are no readings. */
function readReadings(answer: unknown): Readings | undefined {
  if (!isRecord(answer)) return undefined;
  const entries = Object.entries(answer);
  if (entries.length > MAX_READINGS) return undefined;
  if (!entries.every(([name, value]) => NAME.test(name) && Number.isFinite(value))) return undefined;
  return answer as Readings;
}
