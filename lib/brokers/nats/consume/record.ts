/** A message of a stream of JetStream. */
export interface JetStreamRecord {
  /** Name of its stream. */
  readonly stream: string;
  /** To which it was published. */
  readonly subject: string;
  /** Its number in the stream. */
  readonly seq: number;
  /** When it was stored, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** Its payload. */
  readonly data: Uint8Array;
  /** By their names; of a name that is given twice, the last. */
  readonly headers: ReadonlyMap<string, string>;
}
