import type { Broker } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { ConsumerRun, ConsumerSite, RealtimeConsumer } from '../../core/ports/consumers.js';
import type { Entropy } from '../../core/ports/entropy.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import type { ApplicationLog } from '../../core/engine/application-log.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { checkConsumed } from '../consumed-input.js';

export interface OpenConsumersDeps {
  readonly broker: Pick<Broker, 'capabilities' | 'name'>;
  /** Of the engine, which runs when a consumer begins to read. */
  readonly application: () => Pick<ApplicationLog, 'prepare'>;
  readonly dedupeMs: number;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
}

/** Opens the consumers of the application. Reports what keeps them from publishing each record once. */
export function openConsumers(
  consumers: readonly RealtimeConsumer[],
  { broker, application, ...site }: OpenConsumersDeps,
  problems: BootProblems,
): readonly ConsumerRun[] {
  if (consumers.length > 0 && !broker.capabilities.dedupes)
    problems.add(
      'consumers',
      `publish records again that were not committed, and the broker "${broker.name}" would append them twice.`,
      'Use a broker that dedupes: kafkaBroker(), natsBroker(), redisBroker() or memoryBroker().',
    );
  const prepare: ConsumerSite['prepare'] = ({ channel, event, payload, ...options }) => {
    checkConsumed({ channel, event, ...options });
    return application().prepare(channel, event, payload, options);
  };
  return consumers.map((consumer) => consumer.open({ ...site, prepare }));
}
