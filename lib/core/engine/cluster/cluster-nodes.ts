import { RealtimeError } from '../../../protocol/realtime-error.js';
import { isCount } from '../../../protocol/validation/checks.js';
import type { NodeQuestions } from './node-questions.js';

const STATUS = 'nodes.status';
/** How long a node may take to answer. */
const TIMEOUT_MS = 2_000;
/** Most nodes of a page, which are asked at the same time. */
export const MAX_NODES_PAGE = 256;
/** Most characters of names. */
const MAX_NAME = 128;

/** How a node is. */
export interface NodeStatus {
  /** Version of the package. */
  readonly version: string;
  /** Whether it takes clients, or will once it stops draining. */
  readonly started: boolean;
  /** Whether it refuses new clients, because it stops. */
  readonly draining: boolean;
  /** Whether it reaches the broker. */
  readonly broker: 'up' | 'down';
  /** Whether it withholds events of channels that are not public (G11). */
  readonly withholding: boolean;
  /** Live sessions. */
  readonly sessions: number;
  /** Channels that it serves. */
  readonly channels: number;
}

/** One node of the cluster. */
export interface NodeInfo extends NodeStatus {
  /** Id of the node. */
  readonly node: string;
}

/** A page of the nodes. */
export interface NodePage {
  /** In the order of their names. */
  readonly nodes: readonly NodeInfo[];
  /** The `cursor` of the next page; absent on the last. */
  readonly more?: string;
  /** Ids of live nodes of this page that did not answer in time, or are of a version that does not know the question. */
  readonly missing: readonly string[];
}

/** Asks the nodes how they are. */
export class ClusterNodes {
  constructor(
    private readonly questions: NodeQuestions,
    own: () => NodeStatus,
  ) {
    questions.serve(STATUS, () => {
      const { version, started, draining, broker, withholding, sessions, channels } = own();
      return { version, started, draining, broker, withholding, sessions, channels };
    });
  }

  /**
   * @param page.cursor the `more` of the page before: the id of its last node.
   * @throws RealtimeError `unavailable` or `timeout` where the nodes are not known, `bad_request` for a cursor that is none.
   */
  async list({
    cursor,
    limit,
  }: {
    readonly cursor?: string | undefined;
    readonly limit: number;
  }): Promise<NodePage> {
    if (cursor !== undefined && cursor.length > MAX_NAME)
      throw new RealtimeError('bad_request', 'nodes: cursor is not the "more" of a page');
    const all = await this.questions.nodes(TIMEOUT_MS);
    const behind = cursor === undefined ? all : all.filter((node) => node > cursor);
    const nodes = behind.slice(0, Math.min(limit, MAX_NODES_PAGE));
    const { byNode, missing } = await this.questions.ask(
      STATUS,
      {},
      { nodes, timeoutMs: TIMEOUT_MS, read: readStatus },
    );
    const found = nodes.flatMap((node) => {
      const status = byNode.get(node);
      return status === undefined ? [] : [{ node, ...status }];
    });
    const last = nodes.at(-1);
    return behind.length > nodes.length && last !== undefined
      ? { nodes: found, more: last, missing }
      : { nodes: found, missing };
  }
}

/** Reads what another node says; fields of a newer version are left out. @returns `undefined` for what is no status. */
function readStatus(answer: unknown): NodeStatus | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { version, started, draining, broker, withholding, sessions, channels } = answer as Readonly<
    Record<string, unknown>
  >;
  if (typeof version !== 'string' || version.length > MAX_NAME) return undefined;
  if (typeof started !== 'boolean' || typeof draining !== 'boolean' || typeof withholding !== 'boolean')
    return undefined;
  if (broker !== 'up' && broker !== 'down') return undefined;
  if (!isCount(sessions) || !isCount(channels)) return undefined;
  return { version, started, draining, broker, withholding, sessions, channels };
}
