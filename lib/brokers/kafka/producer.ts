import { AppendError } from '../replicated/ordered-log.js';
import type { BrokerAddress } from './options.js';
import type { KafkaCluster } from './cluster.js';
import { appendError, messageOf } from './codes.js';
import type { KafkaConnection } from './connection.js';

/** All that are in sync; the leader alone. */
export type Acks = -1 | 1;

/** One partition's part of a request. */
interface Part {
  readonly topic: string;
  readonly partition: number;
  readonly values: readonly Uint8Array[];
  readonly settle: (result: number | AppendError) => void;
}

/** Part of the time that a client waits for an answer after which the broker gives one. */
const BROKER_SHARE = 0.8;

/**
 * Writes records as they are handed in: no retries, no ids of a producer, no waiting for more. What is appended in one turn to partitions
 * of one leader goes in one request, since a broker answers the requests of a connection one after the other.
 */
export class KafkaProducer {
  private readonly waiting = new Map<
    string,
    { readonly address: BrokerAddress; readonly acks: Acks; parts: Part[] }
  >();

  constructor(private readonly cluster: KafkaCluster) {}

  /**
   * Writes values behind one another.
   *
   * @returns offset of the first one
   * @throws {AppendError}
   */
  produce(topic: string, partition: number, values: readonly Uint8Array[], acks: Acks): Promise<number> {
    return new Promise((resolve, reject) => {
      const leader = this.cluster.leader(topic, partition);
      if (leader === undefined) {
        void this.cluster.refresh();
        return reject(
          new AppendError('refused', `Partition ${partition} of ${topic} has no leader at the moment`),
        );
      }
      const { address } = leader;
      const key = `${acks} ${address.host}:${address.port}`;
      const request = this.waiting.get(key) ?? { address, acks, parts: [] };
      if (request.parts.length === 0) {
        this.waiting.set(key, request);
        queueMicrotask(() => void this.send(key));
      }
      const settle = (result: number | AppendError): void =>
        typeof result === 'number' ? resolve(result) : reject(result);
      request.parts.push({ topic, partition, values, settle });
    });
  }

  private async send(key: string): Promise<void> {
    const request = this.waiting.get(key);
    this.waiting.delete(key);
    if (request === undefined) return;
    const { acks, address, parts } = request;
    let connection: KafkaConnection;
    try {
      connection = await this.cluster.connection(address);
      if (!connection.isOpen) throw new Error('it is closed');
    } catch (error) {
      const reason = `There is no connection to ${address.host}:${address.port}: ${messageOf(error)}`;
      for (const { settle } of parts) settle(new AppendError('refused', reason));
      return;
    }
    const { driver, settings } = this.cluster;
    try {
      const answer = await connection.call(
        driver.produceV9.api,
        acks,
        Math.ceil(settings.requestTimeoutMs * BROKER_SHARE),
        parts.flatMap(({ topic, partition, values }) =>
          values.map((value) => ({ topic, partition, value: bufferOf(value) })),
        ),
      );
      const topics = typeof answer === 'boolean' ? [] : answer.responses;
      let isStale = false;
      for (const { topic, partition, settle } of parts) {
        const result = topics
          .find(({ name }) => name === topic)
          ?.partitionResponses.find(({ index }) => index === partition);
        if (result?.errorCode === 0) settle(Number(result.baseOffset));
        else {
          settle(appendError(result?.errorCode ?? -1));
          isStale = true;
        }
      }
      if (isStale) void this.cluster.refresh();
    } catch (error) {
      for (const { settle } of parts)
        settle(new AppendError('unknown', `Kafka did not answer an append: ${messageOf(error)}`));
    }
  }
}

/** The same bytes, as the client wants them. */
function bufferOf({ buffer, byteLength, byteOffset }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
