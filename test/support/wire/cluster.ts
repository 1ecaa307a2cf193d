import { MemoryStore, memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { Clock } from '../../../lib/core/ports/clock.js';
import type { HistoryEvent } from '../../../lib/protocol/messages.js';
import type { Position } from '../../../lib/protocol/position.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { startWireServer, type WireServer, type WireServerOptions } from './server.js';

/** Servers that share one log: the nodes of a cluster inside one process. */
export interface WireCluster {
  readonly nodes: readonly WireServer[];
  readonly store: MemoryStore;
  /** Starts one more node. */
  start(): Promise<WireServer>;
  close(): Promise<void>;
}

/** What {@link startWireCluster} can be told; `clock` counts for the store too. */
export type WireClusterOptions = Omit<WireServerOptions, 'broker' | 'entropy'> & { readonly clock?: Clock };

/**
 * Starts servers `node-1`, `node-2` … over one memory store.
 *
 * @example
 * const cluster = await startWireCluster(2, { channels: [wireChannel('rooms.:room')] });
 * const [left, right] = cluster.nodes;
 */
export async function startWireCluster(
  count: number,
  options: WireClusterOptions = {},
): Promise<WireCluster> {
  const store = new MemoryStore({
    entropy: new SeededEntropy(1_000),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  const nodes: WireServer[] = [];
  const start = async (): Promise<WireServer> => {
    const number = nodes.length + 1;
    const node = await startWireServer({
      ...options,
      broker: memoryBroker({ store }),
      // Ids and lineages must differ from node to node, as real randomness would have it.
      entropy: new SeededEntropy(number),
      settings: { ...options.settings, nodeId: `node-${number}` },
    });
    nodes.push(node);
    return node;
  };
  for (let index = 0; index < count; index++) await start();
  return {
    nodes,
    store,
    start,
    async close() {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

/** Everything that the log of a channel still holds, read page by page past all commands and their limits. */
export async function readLog(
  server: WireServer,
  channel: string,
): Promise<{ readonly events: readonly HistoryEvent[]; readonly position: Position }> {
  const events: HistoryEvent[] = [];
  for (let from = 1; ;) {
    const page = await server.engine.application.history(channel, { from, limit: 1_000 });
    events.push(...page.events);
    const last = page.events.at(-1);
    if (!page.more || last === undefined) return { events, position: page.position };
    from = last.seq + 1;
  }
}
