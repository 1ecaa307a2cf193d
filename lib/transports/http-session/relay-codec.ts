import { isCount } from '../../protocol/validation/checks.js';
import type { Answer } from './answer.js';

/** Form of the messages, as their first byte: a node drops those of another. */
const FORM = 1;
const HEAD_AT = 5;
/** Most bytes of what is said beside a body. */
const MAX_HEAD_BYTES = 16 * 1024;
/** Most characters of the value of a header. */
const MAX_VALUE = 256;

/** Headers of answers; others of a newer version are left out. */
const HEADERS = [
  'Content-Type',
  'Cache-Control',
  'Realtime-Answer',
  'Realtime-End',
  'Retry-After',
  'Allow',
  'WWW-Authenticate',
];

const KINDS = ['send', 'begin', 'finish', 'poll', 'large'] as const;
/** To `begin`: the session takes the body. */
export const GO_ON: Answer = { status: 204, headers: {}, body: [] };

/** Names a request on its way: the process that sent it, and its number there. */
export interface RelayId {
  /** Made anew by every process: a number of an earlier one means another request. */
  readonly process: string;
  readonly number: number;
}

/** A request of a session that came to another node than its own. */
export interface RelayedRequest {
  /**
   * `begin`: a large body for `send` comes to the other node, which reads it once this is answered with {@link GO_ON}, and sends it as
   * `finish`. `large`: one that was larger than may be, and is not here.
   */
  readonly kind: (typeof KINDS)[number];
  readonly session: string;
  /** As in the header; `NaN` for what is no number. */
  readonly number: number;
  readonly origin: string | undefined;
  readonly body: Buffer;
  /** Most bytes of an answer that may come without having been offered. */
  readonly room: number;
}

/** What nodes send one another of requests. */
export type RelayMessage = RelayId &
  (
    | { readonly type: 'request'; readonly request: RelayedRequest }
    /** The client of the request is gone. */
    | { readonly type: 'cancel' }
    /** The answer takes a while. */
    | { readonly type: 'held' }
    /** There is an answer, of this many bytes, for a node that asks for it. */
    | { readonly type: 'offer'; readonly bytes: number }
    /** There is room for it. */
    | { readonly type: 'take' }
    | { readonly type: 'answer'; readonly answer: Answer }
  );

/** The form, the length of the head, the head as JSON, and the body. */
export function encodeRelay(message: RelayMessage): Buffer {
  const { process, number, type } = message;
  const { more, body } = contentOf(message);
  const head = Buffer.from(JSON.stringify({ t: type, p: process, i: number, ...more }));
  const start = Buffer.alloc(HEAD_AT);
  start.writeUInt8(FORM, 0);
  start.writeUInt32BE(head.length, 1);
  return Buffer.concat([start, head, ...body]);
}

/** @returns `undefined` for what this version cannot read. Never throws: who may write to the broker may send anything. */
export function decodeRelay(received: Uint8Array): RelayMessage | undefined {
  const bytes = Buffer.from(received.buffer, received.byteOffset, received.byteLength);
  if (bytes.length < HEAD_AT || bytes.readUInt8(0) !== FORM) return undefined;
  const end = HEAD_AT + bytes.readUInt32BE(1);
  if (end > bytes.length || end - HEAD_AT > MAX_HEAD_BYTES) return undefined;
  const head = parsed(bytes.toString('utf8', HEAD_AT, end));
  const { t: type, p: process, i: number } = head;
  if (typeof process !== 'string' || !isCount(number)) return undefined;
  const id = { process, number };
  if (type === 'cancel' || type === 'held' || type === 'take') return { ...id, type };
  if (type === 'offer') return isCount(head.b) ? { ...id, type, bytes: head.b } : undefined;
  const body = bytes.subarray(end);
  if (type === 'request') {
    const request = requestIn(head, body);
    return request === undefined ? undefined : { ...id, type, request };
  }
  if (type !== 'answer') return undefined;
  const answer = answerIn(head, body);
  return answer === undefined ? undefined : { ...id, type, answer };
}

type Head = Readonly<Record<string, unknown>>;

function contentOf(message: RelayMessage): { readonly more: Head; readonly body: readonly Buffer[] } {
  if (message.type === 'request') {
    const { kind, session, number, origin, body, room } = message.request;
    return { more: { k: kind, s: session, n: number, o: origin, r: room }, body: [body] };
  }
  if (message.type === 'offer') return { more: { b: message.bytes }, body: [] };
  if (message.type !== 'answer') return { more: {}, body: [] };
  const { status, headers, body } = message.answer;
  return { more: { c: status, h: headers }, body };
}

function requestIn(
  { k: kind, s: session, n: number, o: origin, r: room }: Head,
  body: Buffer,
): RelayedRequest | undefined {
  if (!isKind(kind)) return undefined;
  if (typeof session !== 'string' || (origin !== undefined && typeof origin !== 'string')) return undefined;
  // JSON has no NaN.
  if ((number !== null && !isCount(number)) || !isCount(room)) return undefined;
  return { kind, session, number: number ?? Number.NaN, origin, body, room };
}

function answerIn({ c: status, h: given }: Head, body: Buffer): Answer | undefined {
  if (!isCount(status) || status < 200 || status > 599 || !isRecord(given)) return undefined;
  const headers: Record<string, string> = {};
  for (const name of HEADERS) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value.length > MAX_VALUE || !/^[\x20-\x7e]*$/.test(value))
      return undefined;
    headers[name] = value;
  }
  return { status, headers, body: status === 204 || body.length === 0 ? [] : [body] };
}

function parsed(text: string): Head {
  try {
    const head: unknown = JSON.parse(text);
    return isRecord(head) ? head : {};
  } catch {
    return {};
  }
}

function isKind(value: unknown): value is RelayedRequest['kind'] {
  return KINDS.includes(value as RelayedRequest['kind']);
}

function isRecord(value: unknown): value is Head {
  return typeof value === 'object' && value !== null;
}
