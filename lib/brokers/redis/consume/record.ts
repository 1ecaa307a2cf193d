/** An entry of a stream of Redis. */
export interface RedisStreamRecord {
  /** Name of the stream. */
  readonly stream: string;
  /** `<milliseconds>-<number>`. */
  readonly id: string;
  /** As text. Of a name that is given twice, the last. */
  readonly fields: Readonly<Record<string, string>>;
}
