import type { NodeMessage } from '../../common/node-message.js';

/**
 * Form of a batch, as its first two bytes. A newer version may send others, which this one drops: what travels so is lost
 * without an error anyway.
 */
const FORM = '1m';
const LENGTH_BYTES = 4;

/** What travels in one message of pub/sub. */
export interface NodeBatch {
  /** Id of the node that sent it. */
  readonly from: string;
  readonly messages: readonly NodeMessage[];
}

/** Bytes of a message in a batch. */
export function sizeOf({ topic, bytes }: NodeMessage): number {
  return 2 * LENGTH_BYTES + Buffer.byteLength(topic) + bytes.byteLength;
}

/** The form, the sender, and each message as topic and bytes; every part behind its length. */
export function encodeBatch({ from, messages }: NodeBatch): Buffer {
  const parts: Uint8Array[] = [Buffer.from(FORM), ...part(Buffer.from(from))];
  for (const { topic, bytes } of messages) parts.push(...part(Buffer.from(topic)), ...part(bytes));
  return Buffer.concat(parts);
}

/**
 * Reads a batch. The bytes of its messages are copies: what was received lies in a larger buffer, which a message that is kept
 * would keep too.
 *
 * @returns `undefined` for anything else: of a batch that is not whole, no message counts.
 */
export function decodeBatch(batch: Buffer): NodeBatch | undefined {
  if (batch.toString('latin1', 0, FORM.length) !== FORM) return undefined;
  const parts: Buffer[] = [];
  for (let at = FORM.length; at < batch.length;) {
    if (batch.length - at < LENGTH_BYTES) return undefined;
    const end = at + LENGTH_BYTES + batch.readUInt32BE(at);
    if (end > batch.length) return undefined;
    parts.push(batch.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  const [from, ...rest] = parts;
  if (from === undefined || from.length === 0 || rest.length % 2 !== 0) return undefined;
  const messages: NodeMessage[] = [];
  for (let index = 0; index < rest.length; index += 2) {
    const [topic, bytes] = [rest[index], rest[index + 1]];
    if (topic !== undefined && bytes !== undefined)
      messages.push({ topic: topic.toString(), bytes: Buffer.from(bytes) });
  }
  return { from: from.toString(), messages };
}

function part(bytes: Uint8Array): readonly [Buffer, Uint8Array] {
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(bytes.byteLength);
  return [length, bytes];
}
