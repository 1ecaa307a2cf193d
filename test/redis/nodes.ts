import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import type { WireClusterOptions } from '../support/wire/cluster.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import type { RedisKit } from './kit.js';

/** Servers `node-1`, `node-2` … over one Redis. */
export interface RedisNodes {
  readonly nodes: readonly WireServer[];
  close(): Promise<void>;
}

/** @example const { nodes: [left, right] } = await startRedisNodes(kit, 2, { channels: [wireChannel('rooms.:room')] }); */
export async function startRedisNodes(
  kit: RedisKit,
  count: number,
  options: WireClusterOptions,
): Promise<RedisNodes> {
  const nodes: WireServer[] = [];
  for (let number = 1; number <= count; number++)
    nodes.push(
      await startWireServer({
        ...options,
        broker: kit.make(),
        entropy: new SeededEntropy(number),
        settings: { ...options.settings, nodeId: `node-${number}` },
      }),
    );
  return { nodes, close: async () => void (await Promise.all(nodes.map((node) => node.close()))) };
}
