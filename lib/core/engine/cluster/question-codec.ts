/** Form of the messages, as their first byte: a node drops those of another. */
const FORM = 1;
/** Most bytes of a message. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Most characters of names. */
const MAX_NAME = 128;

/** Names a question on its way: the process that asked, and its number there. */
export interface QuestionId {
  /** Made by every process for itself: a number of an earlier one means another question. */
  readonly process: string;
  readonly number: number;
}

/** What nodes send one another. */
export type QuestionMessage = QuestionId &
  (
    | { readonly type: 'ask'; readonly kind: string; readonly body: unknown }
    | { readonly type: 'answer'; readonly body: unknown }
    /** The node does not know the question, cannot read it, or has too much to do. */
    | { readonly type: 'no' }
    /** The node stops: nobody needs to wait for it. The number says nothing. */
    | { readonly type: 'leave' }
  );

/** @throws RangeError for a message that is larger than {@link MAX_MESSAGE_BYTES}. */
export function encodeQuestion(message: QuestionMessage): Buffer {
  const { process, number, type } = message;
  const more =
    type === 'ask' ? { k: message.kind, b: message.body } : type === 'answer' ? { b: message.body } : {};
  const text = JSON.stringify({ t: type, p: process, i: number, ...more });
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  if (bytes.length > MAX_MESSAGE_BYTES)
    throw new RangeError(`A message to another node has ${bytes.length} bytes`);
  bytes.writeUInt8(FORM, 0);
  bytes.write(text, 1);
  return bytes;
}

/** @returns `undefined` for what this version cannot read. Never throws: who may write to the broker may send anything. */
export function decodeQuestion(received: Uint8Array): QuestionMessage | undefined {
  if (received.length > MAX_MESSAGE_BYTES || received[0] !== FORM) return undefined;
  const head = parsed(
    Buffer.from(received.buffer, received.byteOffset, received.byteLength).toString('utf8', 1),
  );
  const { t: type, p: process, i: number, k: kind, b: body } = head;
  if (!isName(process) || !Number.isSafeInteger(number)) return undefined;
  const id = { process, number: number as number };
  if (type === 'no' || type === 'leave') return { ...id, type };
  if (type === 'answer') return { ...id, type, body };
  return type === 'ask' && isName(kind) ? { ...id, type, kind, body } : undefined;
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME;
}
