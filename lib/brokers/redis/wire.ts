import { ChannelEvent, expiryOf, type EventDraft } from '../../core/ports/channel-event.js';
import type { SignalMessage } from '../../core/ports/broker.js';
import type { PresenceDiff, PresenceMember } from '../../protocol/messages.js';
import { recordFor } from '../../protocol/numbered-names.js';
import { wireValueReader } from '../../protocol/wire-value.js';

/** A value of the application: `[value]`. Bytes in it have their form in JSON (P29). */
type Wrapped = readonly [unknown];

/** Makes wire values of what was parsed. */
type Reader = (parsed: unknown) => unknown;

/** @throws TypeError for another form, as a newer version may have. */
function unwrap(wrapped: unknown): unknown {
  if (Array.isArray(wrapped)) return wrapped[0];
  throw new TypeError('A value is a list of one');
}

/** An event as it is stored and published. The names are short, as they are stored with each event. */
interface EventBody {
  readonly i: string;
  readonly n: string;
  p?: Wrapped;
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
  if (draft.payload !== undefined) body.p = [draft.payload];
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
 * Reads a record. An event that another program spoiled is there as {@link ChannelEvent.unreadable}.
 *
 * @param first `seq` of the record's first event.
 * @param ageMs time since its append, by the server's clock.
 * @param now the monotonic clock of this node.
 * @throws SyntaxError, TypeError for what is no record at all.
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
  const bodies: unknown = JSON.parse(text);
  if (!Array.isArray(bodies)) throw new TypeError('A record is a list of events');
  const read = wireValueReader(text);
  return bodies.map((body: unknown, index) => {
    const place = { channel, epoch, seq: first + index, ts };
    return isBody(body)
      ? toEvent(body, { ...place, expiresAt: expiryOf(body.x, ageMs, now) }, read)
      : ChannelEvent.unreadable(place);
  });
}

function isBody(body: unknown): body is EventBody {
  if (typeof body !== 'object' || body === null) return false;
  const { i, n, p } = body as Partial<Record<keyof EventBody, unknown>>;
  return typeof i === 'string' && typeof n === 'string' && (p === undefined || Array.isArray(p));
}

type Place = Pick<ChannelEvent, 'channel' | 'epoch' | 'seq' | 'ts' | 'expiresAt'>;

function toEvent({ i, n, p, u, k, x, c, m }: EventBody, place: Place, read: Reader): ChannelEvent {
  try {
    return new ChannelEvent({
      ...place,
      id: i,
      event: n,
      payload: p === undefined ? undefined : read(p[0]),
      user: u,
      key: k,
      ttl: x,
      trace: c,
      meta: m === undefined ? undefined : (read(m) as EventDraft['meta']),
    });
  } catch {
    // Deeper than any value that was accepted.
    return ChannelEvent.unreadable(place);
  }
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
      ...(p === undefined ? {} : { payload: wireValueReader(text)(unwrap(p)) }),
      ...(u === undefined ? {} : { user: u }),
    };
    return { kind: 'signal', signal };
  }
  if (kind === '1p') {
    const diff = JSON.parse(text.slice(2)) as PresenceDiff;
    const read = wireValueReader(text);
    const toMember = ({ id, devices, data }: PresenceMember): PresenceMember =>
      data === undefined ? { id, devices } : { id, devices, data: read(unwrap(data)) };
    return {
      kind: 'presence',
      diff: { ...diff, join: diff.join.map(toMember), update: diff.update.map(toMember) },
    };
  }
  return undefined;
}

export function encodeSignal({ event, payload, user }: SignalMessage): string {
  return `1s${JSON.stringify({ n: event, p: payload === undefined ? undefined : [payload], u: user })}`;
}

/** A member's data as text; equal data has equal text, whatever the order of its keys. '' for none. */
export function encodeData(data: unknown): string {
  return data === undefined ? '' : JSON.stringify([data], sortedKeys);
}

/** A member as it is stored. Data that another program spoiled is left out. */
export function decodeMember(id: string, devices: number, data: string): PresenceMember {
  if (data === '') return { id, devices };
  try {
    return { id, devices, data: wireValueReader(data)((JSON.parse(data) as Wrapped)[0]) };
  } catch {
    return { id, devices };
  }
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const record = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(record);
  const copy = recordFor(keys);
  for (const key of keys.sort()) copy[key] = record[key];
  return copy;
}
