import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import type { WireClusterOptions } from '../support/wire/cluster.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import type { RedisKit } from './kit.js';

/** Servers `node-1`, `node-2` … over one Redis. */
export interface RedisNodes {
  readonly nodes: readonly WireServer[];
  /** Starts one more node. */
  start(): Promise<WireServer>;
  close(): Promise<void>;
}

/** @example const { nodes: [left, right] } = await startRedisNodes(kit, 2, { channels: [wireChannel('rooms.:room')] }); */
export async function startRedisNodes(
  kit: RedisKit,
  count: number,
  options: WireClusterOptions,
): Promise<RedisNodes> {
  const nodes: WireServer[] = [];
  const start = async (): Promise<WireServer> => {
    const number = nodes.length + 1;
    const node = await startWireServer({
      ...options,
      broker: kit.make(),
      entropy: new SeededEntropy(number),
      settings: { ...options.settings, nodeId: `node-${number}` },
    });
    nodes.push(node);
    return node;
  };
  while (nodes.length < count) await start();
  return { nodes, start, close: async () => void (await Promise.all(nodes.map((node) => node.close()))) };
}
