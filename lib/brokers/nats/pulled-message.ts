import type { Msg } from '@nats-io/transport-node';
import type { LogRecord } from '../replicated/ordered-log.js';

/** What a consumer sends on the inbox of a pull. */
export type PulledMessage =
  | { readonly kind: 'record'; readonly record: LogRecord; readonly consumerSeq: number }
  /** Nothing new; the server is alive. */
  | { readonly kind: 'heartbeat' }
  /** The pull is over: its time, or what it asked for. */
  | { readonly kind: 'done' }
  /** The next record is larger than what a pull may bring. */
  | { readonly kind: 'tooLarge' }
  /** The consumer is gone, or has no leader. */
  | { readonly kind: 'broken'; readonly reason: string };

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>` */
const SHORT_ACK = 9;
/** With domain and hash of the account behind the first two. */
const LONG_ACK_AT = 2;
const STREAM_SEQ = 5;
const NANOS_DIGITS = 6;

/** Reads what arrived: a record, with offset and time from its reply subject, or a status. */
export function readPulled(msg: Msg): PulledMessage {
  const tokens = (msg.reply ?? '').split('.');
  // Headers of a record are its publisher's, who may write a status there, or what cannot be read.
  if (tokens[1] !== 'ACK') {
    const code = msg.headers?.code ?? 0;
    if (code !== 0) return readStatus(code, msg.headers?.description.toLowerCase() ?? '');
  }
  const at = STREAM_SEQ + (tokens.length > SHORT_ACK ? LONG_ACK_AT : 0);
  const [offset, consumerSeq, nanos = ''] = [Number(tokens[at]), Number(tokens[at + 1]), tokens[at + 2]];
  if (!(Number.isSafeInteger(offset) && offset > 0 && Number.isSafeInteger(consumerSeq)))
    return { kind: 'broken', reason: 'a message without a place in the stream' };
  // Nanoseconds are beyond what a number holds.
  const timeMs = Number(nanos.slice(0, -NANOS_DIGITS));
  return { kind: 'record', record: { offset, timeMs, term: 0, bytes: msg.data }, consumerSeq };
}

function readStatus(code: number, description: string): PulledMessage {
  if (code === 100) return { kind: 'heartbeat' };
  if (code === 404 || code === 408) return { kind: 'done' };
  if (code === 409 && description.includes('message size exceeds')) return { kind: 'tooLarge' };
  if (code === 409 && description.includes('batch completed')) return { kind: 'done' };
  return { kind: 'broken', reason: `${code} ${description}` };
}
