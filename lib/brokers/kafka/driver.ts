import type * as kafka from '@platformatic/kafka';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import { LogSetupError } from '../replicated/ordered-log.js';

/** The package `@platformatic/kafka`: its connection and the requests of the protocol; none of its clients. */
export type KafkaDriver = Pick<
  typeof kafka,
  | 'Connection'
  | 'createAPI'
  | 'createTopicsV7'
  | 'describeConfigsV4'
  | 'fetchV13'
  | 'findCoordinatorV4'
  | 'heartbeatV4'
  | 'joinGroupV7'
  | 'leaveGroupV4'
  | 'listOffsetsV7'
  | 'metadataV12'
  | 'offsetCommitV8'
  | 'offsetFetchV8'
  | 'offsetForLeaderEpochV4'
  | 'produceV9'
  | 'syncGroupV5'
>;

const PACKAGE = '@platformatic/kafka';

/**
 * Loads the client of Kafka, which only applications with this broker need to install.
 *
 * @throws LogSetupError that says how to install it
 */
export async function loadKafka(
  load: () => Promise<KafkaDriver> = () => import('@platformatic/kafka'),
  caller = 'kafkaBroker',
): Promise<KafkaDriver> {
  return load().catch((cause: unknown) => {
    throw isMissingPackage(cause, PACKAGE)
      ? new LogSetupError(`${caller}: needs the package ${PACKAGE}. Install it: npm i ${PACKAGE}@1`)
      : new LogSetupError(`${caller}: the package ${PACKAGE} cannot be loaded: ${String(cause)}`);
  });
}
