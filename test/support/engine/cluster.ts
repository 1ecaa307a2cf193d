import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import type { ChannelDefinition } from '../../../lib/core/ports/channel-definition.js';
import { alteredBroker } from './altered-broker.js';
import { EngineHarness, type SettingsPatch } from './harness.js';
import { ManualClock } from './manual-clock.js';

/** Nodes `node-0`, `node-1`, `node-2` on one memory store. */
export interface EngineCluster {
  readonly clock: ManualClock;
  readonly nodes: EngineHarness[];
  /** Ids of nodes that neither get messages of others nor send any. */
  readonly deaf: Set<string>;
}

/** Starts three nodes, and waits until what the first knew of the others at its start is a second old. */
export async function startCluster(
  channels: readonly ChannelDefinition[],
  settings: SettingsPatch = {},
): Promise<EngineCluster> {
  const clock = new ManualClock();
  const deaf = new Set<string>();
  const store = new MemoryStore({ clock });
  const nodes: EngineHarness[] = [];
  for (const nodeId of ['node-0', 'node-1', 'node-2']) {
    const inner = memoryBroker({ store });
    const send = async (node: string, topic: string, bytes: Uint8Array): Promise<void> => {
      if (!deaf.has(nodeId) && !deaf.has(node)) return inner.bus.send?.(node, topic, bytes);
    };
    const broker = alteredBroker(inner, { bus: { send } });
    const seed = nodes.length + 1;
    nodes.push(
      await EngineHarness.start(channels, { clock, broker, seed, settings: { ...settings, nodeId } }),
    );
  }
  await clock.advanceAsync(1_000);
  return { clock, nodes, deaf };
}
