import { memoryBroker, MemoryStore, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { MemoryStoreOptions } from '../../../../lib/brokers/memory/options.js';
import type { AppendRequest, LogPolicy } from '../../../../lib/core/ports/broker.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

export const POLICY: LogPolicy = {
  retain: true,
  size: 100,
  maxBytes: 8_388_608,
  ttlMs: 60_000,
  dedupeMs: 10_000,
};

export const append = (channel: string, id: string, policy: Partial<LogPolicy> = {}): AppendRequest => ({
  channel,
  producer: 'u1',
  fingerprint: id,
  event: { id, event: 'message', payload: id },
  bytes: 50,
  policy: { ...POLICY, ...policy },
});

export interface Kit {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly broker: MemoryBroker;
  readonly seen: RecordingListener;
  node(): Promise<{ readonly broker: MemoryBroker; readonly seen: RecordingListener }>;
}

/** A started broker on a clock that stands still. */
export async function kit(options: MemoryStoreOptions = {}): Promise<Kit> {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock, entropy: new SeededEntropy(), ...options });
  const node = async () => {
    const broker = memoryBroker({ store });
    const seen = new RecordingListener();
    await broker.start(seen);
    return { broker, seen };
  };
  return { clock, store, node, ...(await node()) };
}
