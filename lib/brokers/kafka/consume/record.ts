/** A record of a topic of Kafka. */
export interface KafkaTopicRecord {
  /** Name of its topic. */
  readonly topic: string;
  /** Number of its partition. */
  readonly partition: number;
  /** Its number in the partition. */
  readonly offset: number;
  /** When it was written, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** Bytes of its key; `null` without one. */
  readonly key: Buffer | null;
  /** Bytes of its value; `null` of a record that says that the key is deleted. */
  readonly value: Buffer | null;
  /** By their names; of a name that is given twice, the last. */
  readonly headers: ReadonlyMap<string, Buffer>;
}
