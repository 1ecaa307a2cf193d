import type * as kafka from '@platformatic/kafka';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import { LogSetupError } from '../replicated/ordered-log.js';

/** The package `@platformatic/kafka`: its connection and the requests of the protocol; none of its clients. */
export type KafkaDriver = Pick<
  typeof kafka,
  | 'Connection'
  | 'createTopicsV7'
  | 'describeConfigsV4'
  | 'fetchV13'
  | 'listOffsetsV7'
  | 'metadataV12'
  | 'offsetForLeaderEpochV4'
  | 'produceV9'
>;

const PACKAGE = '@platformatic/kafka';

/**
 * Loads the client of Kafka, which only applications with this broker need to install.
 *
 * @throws LogSetupError that says how to install it
 */
export async function loadKafka(
  load: () => Promise<KafkaDriver> = () => import('@platformatic/kafka'),
): Promise<KafkaDriver> {
  return load().catch((cause: unknown) => {
    throw isMissingPackage(cause, PACKAGE)
      ? new LogSetupError(`kafkaBroker: needs the package ${PACKAGE}. Install it: npm i ${PACKAGE}@1`)
      : new LogSetupError(`kafkaBroker: the package ${PACKAGE} cannot be loaded: ${String(cause)}`);
  });
}
