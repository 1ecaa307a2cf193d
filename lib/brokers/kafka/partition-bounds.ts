import { LogUnavailableError, type LogBounds } from '../replicated/ordered-log.js';
import type { KafkaCluster } from './cluster.js';
import { Code, messageOf } from './codes.js';
import { fetchRecords } from './fetch.js';

const NO_REPLICA = -1;
const READ_UNCOMMITTED = 0;
/** Asks for the end instead of an offset by its time. */
const LATEST = -1n;
const RETRY_MS = 50;

/**
 * Asks the leader for the bounds of a partition. The question for the end names the topic; a fetch at that end names its id, so that
 * end and incarnation belong together.
 *
 * @throws {LogUnavailableError}
 */
export async function partitionBounds(
  cluster: KafkaCluster,
  topic: string,
  partition: number,
): Promise<LogBounds> {
  const deadline = cluster.clock.monotonic() + cluster.settings.requestTimeoutMs;
  let reason = 'it has no leader at the moment';
  while (!cluster.isClosed) {
    try {
      const bounds = await askOnce(cluster, topic, partition);
      if (bounds !== undefined) return bounds;
    } catch (error) {
      reason = messageOf(error);
    }
    if (cluster.clock.monotonic() > deadline) break;
    await Promise.race([cluster.refresh(), cluster.pause(cluster.settings.requestTimeoutMs)]);
    await cluster.pause(RETRY_MS);
  }
  throw new LogUnavailableError(
    cluster.isClosed
      ? 'The log is closed'
      : `Kafka does not say what partition ${partition} of ${topic} holds: ${reason}`,
  );
}

/** @returns `undefined` when what is known of the leader is old */
async function askOnce(
  cluster: KafkaCluster,
  topic: string,
  partition: number,
): Promise<LogBounds | undefined> {
  const leader = cluster.leader(topic, partition);
  if (leader === undefined) return undefined;
  const { address, epoch, topicId } = leader;
  const connection = await cluster.connection(address);
  const question = { partitionIndex: partition, currentLeaderEpoch: epoch, timestamp: LATEST };
  const { topics } = await connection.call(cluster.driver.listOffsetsV7.api, NO_REPLICA, READ_UNCOMMITTED, [
    { name: topic, partitions: [question] },
  ]);
  const answer = topics[0]?.partitions[0];
  if (answer?.errorCode !== Code.none) return undefined;
  const query = { topicId, partition, epoch, offset: Number(answer.offset), waitMs: 0 };
  const { code, end, first } = await fetchRecords(cluster.driver, connection, query);
  return code === Code.none ? { first, end: Math.max(end, query.offset), incarnation: topicId } : undefined;
}
