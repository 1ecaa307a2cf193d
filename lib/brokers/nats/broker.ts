import { ReplicatedBroker } from '../replicated/broker.js';
import type { ReplicatedOptions } from '../replicated/settings.js';
import { openNatsLog } from './log.js';
import { natsSettings, type NatsLogOptions } from './options.js';

/** Options of {@link natsBroker}. */
export interface NatsBrokerOptions extends NatsLogOptions, ReplicatedOptions {}

/**
 * Makes a broker on NATS JetStream, which several nodes share: every node reads all records of the streams and computes the same state
 * from them, with dense numbers, dedupe, presence and revokes that JetStream itself does not have. Needs the packages
 * `@nats-io/transport-node` and `@nats-io/jetstream`.
 *
 * An acknowledged event survives every node; with three replicas also the loss of a server (G1), if its servers write at once
 * (`sync_interval: always`).
 *
 * @example broker: natsBroker({ servers: ['nats-1:4222', 'nats-2:4222', 'nats-3:4222'] })
 * @example broker: natsBroker({ servers: 'localhost:4222', replicas: 1 })
 * @throws RangeError for an option that cannot be; it names the option and the remedy.
 */
export function natsBroker(options: NatsBrokerOptions): ReplicatedBroker {
  const { partitions, replicas } = natsSettings(options);
  return new ReplicatedBroker(
    {
      name: 'nats',
      durability: replicas >= 3 ? 'replicated' : 'broker',
      partitions,
      open: (deps) => openNatsLog(options, deps),
    },
    options,
  );
}
