import { isCount } from '../../../protocol/validation/checks.js';
import type { LocalChannels } from './local-channels.js';
import type { NodeQuestions } from './node-questions.js';
import { addServed, readChannels, writeChannels, type ServedChannelInfo } from './served-channels.js';

const BUSIEST = 'channels.busiest';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most channels of an answer. */
export const MAX_BUSIEST = 100;

/** The channels with the most subscribers. */
export interface BusiestChannels {
  /** The fullest first. A node names its fullest ones, so that of one that is full nowhere a part may be missing. */
  readonly channels: readonly ServedChannelInfo[];
  /** Ids of nodes that did not answer in time. */
  readonly missing: readonly string[];
}

/** Asks each node for its fullest channels, and puts them together. */
export class BusiestOfCluster {
  constructor(
    private readonly questions: NodeQuestions,
    local: LocalChannels,
  ) {
    questions.serve(BUSIEST, async (body) => {
      const { n } = (body ?? {}) as Readonly<Record<string, unknown>>;
      if (!isCount(n) || n < 1) throw new RangeError('No such number of channels');
      return writeChannels(await local.busiest(Math.min(n, MAX_BUSIEST)));
    });
  }

  /** @throws RealtimeError `unavailable` or `timeout` where the nodes are not known. */
  async list(limit: number): Promise<BusiestChannels> {
    const nodes = await this.questions.nodes(TIMEOUT_MS);
    const { byNode, missing } = await this.questions.ask(
      BUSIEST,
      // More than are wanted: what is full together may be full on no node.
      { n: MAX_BUSIEST },
      { nodes, timeoutMs: TIMEOUT_MS, read: (answer) => readChannels(answer, MAX_BUSIEST) },
    );
    const byName = new Map<string, ServedChannelInfo>();
    for (const found of byNode.values()) addServed(byName, found);
    const channels = [...byName.values()].sort(
      (one, other) => other.subscribers - one.subscribers || (one.channel < other.channel ? -1 : 1),
    );
    return { channels: channels.slice(0, limit), missing };
  }
}
