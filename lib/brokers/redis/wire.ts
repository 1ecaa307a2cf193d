import { decode, encode } from '@msgpack/msgpack';
import { ChannelEvent, expiryOf, type EventDraft } from '../../core/ports/channel-event.js';
import type { SignalMessage } from '../../core/ports/broker.js';
import type { PresenceDiff, PresenceMember } from '../../protocol/messages.js';

/** Deeper than any payload that was accepted (P4). */
const MAX_DEPTH = 512;

/**
 * A value as JSON: `[value]`. JSON has no bytes; a value that holds some becomes MessagePack as a whole:
 * `{"b": base64}`.
 */
function wrap(value: unknown): unknown {
  return hasBytes(value, 0) ? { b: packed(value) } : [value];
}

function unwrap(wrapped: unknown): unknown {
  if (Array.isArray(wrapped)) return wrapped[0];
  const { b } = wrapped as { readonly b: string };
  return decode(Buffer.from(b, 'base64'));
}

function packed(value: unknown): string {
  const bytes = encode(value, { ignoreUndefined: true, maxDepth: MAX_DEPTH });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function hasBytes(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return false;
  if (ArrayBuffer.isView(value)) return true;
  for (const key in value) {
    if (hasBytes((value as Readonly<Record<string, unknown>>)[key], depth + 1)) return true;
  }
  return false;
}

/** An event as it is stored and published. The names are short, as they are stored with each event. */
interface EventBody {
  readonly i: string;
  readonly n: string;
  p?: unknown;
  u?: string;
  k?: string;
  x?: number;
  c?: string;
  m?: Readonly<Record<string, unknown>>;
}

/** @throws TypeError for what JSON cannot hold, e.g. a cycle. */
export function encodeBody(draft: EventDraft): string {
  const body: EventBody = { i: draft.id, n: draft.event };
  // Members that are `undefined` would double the time of `JSON.stringify`.
  if (draft.payload !== undefined) body.p = wrap(draft.payload);
  if (draft.user !== undefined) body.u = draft.user;
  if (draft.key !== undefined) body.k = draft.key;
  if (draft.ttl !== undefined) body.x = draft.ttl;
  if (draft.trace !== undefined) body.c = draft.trace;
  if (draft.meta !== undefined) body.m = draft.meta;
  return JSON.stringify(body);
}

/** A record of events that {@link encodeBody} made, separated by a line break, which JSON text has nowhere else. */
export function encodeRecord(bodies: readonly string[]): string {
  return `[${bodies.join(',\n')}]`;
}

/**
 * @param first `seq` of the record's first event.
 * @param ageMs time since its append, by the server's clock.
 * @param now the monotonic clock of this node.
 */
export function decodeRecord(
  text: string,
  channel: string,
  epoch: string,
  first: number,
  ts: number,
  ageMs: number,
  now: number,
): readonly ChannelEvent[] {
  const bodies = JSON.parse(text) as readonly EventBody[];
  return bodies.map(
    ({ i, n, p, u, k, x, c, m }, index) =>
      new ChannelEvent({
        channel,
        seq: first + index,
        epoch,
        ts,
        expiresAt: expiryOf(x, ageMs, now),
        id: i,
        event: n,
        payload: p === undefined ? undefined : unwrap(p),
        user: u,
        key: k,
        ttl: x,
        trace: c,
        meta: m,
      }),
  );
}

/** A message of pub/sub. */
export type RedisMessage =
  | { readonly kind: 'events'; readonly events: readonly ChannelEvent[] }
  | { readonly kind: 'signal'; readonly signal: SignalMessage }
  | { readonly kind: 'presence'; readonly diff: PresenceDiff };

/**
 * Reads a message, which begins with the version of its form and a letter for its kind. A node ignores fields that it does not
 * know, and looks at the log after a message that it cannot read; so a newer version may add fields, and kinds. Its events
 * count as just appended.
 *
 * @param now the monotonic clock of this node.
 */
export function decodeMessage(text: string, channel: string, now: number): RedisMessage | undefined {
  const kind = text.slice(0, 2);
  if (kind === '1e') {
    const end = text.indexOf('\n');
    const [epoch = '', first, ts] = text.slice(2, end).split(' ');
    const events = decodeRecord(text.slice(end + 1), channel, epoch, Number(first), Number(ts), 0, now);
    return { kind: 'events', events };
  }
  if (kind === '1s') {
    const { n, p, u } = JSON.parse(text.slice(2)) as Pick<EventBody, 'n' | 'p' | 'u'>;
    const signal = {
      event: n,
      ...(p === undefined ? {} : { payload: unwrap(p) }),
      ...(u === undefined ? {} : { user: u }),
    };
    return { kind: 'signal', signal };
  }
  if (kind === '1p') {
    const diff = JSON.parse(text.slice(2)) as PresenceDiff;
    return {
      kind: 'presence',
      diff: { ...diff, join: diff.join.map(toMember), update: diff.update.map(toMember) },
    };
  }
  return undefined;
}

export function encodeSignal({ event, payload, user }: SignalMessage): string {
  return `1s${JSON.stringify({ n: event, p: payload === undefined ? undefined : wrap(payload), u: user })}`;
}

/** A member's data as text; equal data has equal text, whatever the order of its keys. '' for none. */
export function encodeData(data: unknown): string {
  return data === undefined ? '' : JSON.stringify(wrap(data), sortedKeys);
}

export function decodeMember(id: string, devices: number, data: string): PresenceMember {
  return { id, devices, ...(data === '' ? {} : { data: unwrap(JSON.parse(data)) }) };
}

function toMember({ id, devices, data }: PresenceMember): PresenceMember {
  return { id, devices, ...(data === undefined ? {} : { data: unwrap(data) }) };
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
}
