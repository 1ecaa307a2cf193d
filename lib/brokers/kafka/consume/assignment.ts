/** Kafka's own format of what members of a group tell one another, as all clients write it: version 0. */
const VERSION = 0;
const NO_DATA = -1;

/** What a member wants to read. */
export function encodeSubscription(topic: string): Buffer {
  return Buffer.concat([int16(VERSION), int32(1), text(topic), int32(NO_DATA)]);
}

/** What a member is to read. */
export function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  const list = partitions.length === 0 ? [int32(0)] : [int32(1), text(topic), int32(partitions.length)];
  return Buffer.concat([int16(VERSION), ...list, ...partitions.map(int32), int32(NO_DATA)]);
}

/** Partitions of the topic that a member was given. */
export function decodeAssignment(topic: string, bytes: Buffer): readonly number[] {
  if (bytes.length === 0) return [];
  let at = 2;
  const next = (): number => bytes.readInt32BE((at += 4) - 4);
  for (let left = next(); left > 0; left--) {
    const length = bytes.readInt16BE(at);
    const name = bytes.toString('utf8', at + 2, at + 2 + length);
    at += 2 + length;
    const partitions = Array.from({ length: next() }, next);
    if (name === topic) return partitions;
  }
  return [];
}

/** Divides the partitions among the members: each has as many as any other, or one more. */
export function divide(
  members: readonly string[],
  partitions: number,
): ReadonlyMap<string, readonly number[]> {
  const inOrder = [...members].sort();
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  return new Map(
    inOrder.map((member, index) => [member, all.filter((partition) => partition % inOrder.length === index)]),
  );
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int16(bytes.length), bytes]);
}
