import type { AppendRequest, LogPolicy, PresenceEntry } from '../../core/ports/broker.js';
import type { EventDraft } from '../../core/ports/channel-event.js';
import { wireValueReader } from '../../protocol/wire-value.js';
import type { Command, Genesis } from '../machine/commands.js';
import type { RecordContent } from '../machine/record.js';

/** Number of the form of records. A reader takes any other one for bytes of another program. */
const FORMAT = 1;

/** JSON has no infinite number, and no duration or bound is `null`. */
type Bound = number | null;

/** A value of the application: `[value]`, or `null` where there is none. Bytes in it have their form in JSON (P29). */
type Wrapped = readonly [unknown] | null;

/** One append. A list, as names of members would be a third of a small event. */
type RequestTuple = readonly [
  channel: string,
  producer: string,
  fingerprint: string,
  after: string | null,
  bytes: number,
  policy: readonly [retain: 0 | 1, size: Bound, maxBytes: Bound, ttlMs: Bound, dedupeMs: Bound],
  id: string,
  event: string,
  payload: Wrapped,
  user: string | null,
  key: string | null,
  ttl: number | null,
  trace: string | null,
  meta: Wrapped,
];

/** Makes wire values of what was parsed. */
type Reader = (parsed: unknown) => unknown;

/**
 * A command as it stands in a record: JSON, so that a record can be put together of commands that were written, and measured, when
 * they came.
 *
 * @throws TypeError for what JSON cannot hold, e.g. a cycle.
 */
export function encodeCommand(command: Command): string {
  switch (command.kind) {
    case 'append':
      return JSON.stringify({ kind: 'append', requests: command.requests.map(toTuple) });
    case 'enter':
    case 'update':
    case 'leave':
      return JSON.stringify({ ...command, entry: wrapData(command.entry) });
    case 'renew':
      return JSON.stringify({ ...command, entries: command.entries.map(wrapData) });
    default:
      return JSON.stringify(command);
  }
}

/** Bytes that a record takes beside its commands and the commas between them, at most. */
export function recordOverhead(writer: string, incarnation: string): number {
  return Buffer.byteLength(headOf(writer, Number.MAX_SAFE_INTEGER, incarnation)) + 2;
}

/** @param commands as {@link encodeCommand} wrote them */
export function encodeRecord(
  { writer, n, incarnation }: Omit<RecordContent, 'commands'>,
  commands: readonly string[],
): Uint8Array {
  return Buffer.from(`${headOf(writer, n, incarnation)}${commands.join(',')}]}`);
}

/** What a record says; `undefined` for bytes that no node of this form wrote. The same for the same bytes, on every node. */
export function decodeRecord(bytes: Uint8Array): RecordContent | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isRecord(parsed)) return undefined;
    const { w: writer, n, i: incarnation, c } = parsed;
    const read = wireValueReader(text);
    return { writer, n, incarnation, commands: c.map((command) => toCommand(command, read)) };
  } catch {
    return undefined;
  }
}

function headOf(writer: string, n: number, incarnation: string): string {
  return `{"rt":${FORMAT},"w":${JSON.stringify(writer)},"n":${n},"i":${JSON.stringify(incarnation)},"c":[`;
}

interface ParsedRecord {
  readonly w: string;
  readonly n: number;
  readonly i: string;
  readonly c: readonly unknown[];
}

function isRecord(parsed: unknown): parsed is ParsedRecord {
  if (typeof parsed !== 'object' || parsed === null) return false;
  const { rt, w, n, i, c } = parsed as Readonly<Record<string, unknown>>;
  return (
    rt === FORMAT &&
    typeof w === 'string' &&
    Number.isSafeInteger(n) &&
    typeof i === 'string' &&
    Array.isArray(c)
  );
}

/** @throws TypeError for what is no command: then the record is none of ours. */
function toCommand(parsed: unknown, read: Reader): Command {
  const command = parsed as { readonly kind: string } & Readonly<Record<string, unknown>>;
  switch (command.kind) {
    case 'append': {
      const requests = command.requests as readonly RequestTuple[];
      return { kind: 'append', requests: requests.map((tuple) => toRequest(tuple, read)) };
    }
    case 'enter':
    case 'update':
    case 'leave':
      return { ...command, entry: unwrapData(command.entry, read) } as Command;
    case 'renew': {
      const entries = command.entries as readonly unknown[];
      return { ...command, entries: entries.map((entry) => unwrapData(entry, read)) } as Command;
    }
    case 'genesis': {
      const { settings } = command as unknown as Genesis;
      const bounds = Object.entries(settings).map(([name, value]) => [name, (value as unknown) ?? Infinity]);
      return { ...command, settings: Object.fromEntries(bounds) as Genesis['settings'] } as Command;
    }
    default:
      // The partition skips a kind that it does not know, and one whose members are not as they should be.
      if (typeof command.kind !== 'string') throw new TypeError('A command has a kind');
      return command as Command;
  }
}

function toTuple(request: AppendRequest): RequestTuple {
  const { channel, producer, fingerprint, after = null, event, bytes, policy } = request;
  const { id, payload, user = null, key = null, ttl = null, trace = null, meta } = event;
  const { retain, size, maxBytes, ttlMs, dedupeMs } = policy;
  return [
    channel,
    producer,
    fingerprint,
    after,
    bytes,
    [retain ? 1 : 0, size, maxBytes, ttlMs, dedupeMs],
    id,
    event.event,
    wrap(payload),
    user,
    key,
    ttl,
    trace,
    wrap(meta),
  ];
}

function toRequest(tuple: RequestTuple, read: Reader): AppendRequest {
  const [channel, producer, fingerprint, after, bytes, bounds, id, event] = tuple;
  const [, , , , , , , , payload, user, key, ttl, trace, meta] = tuple;
  const [retain, size, maxBytes, ttlMs, dedupeMs] = bounds;
  const policy: LogPolicy = {
    retain: retain === 1,
    size: size ?? Infinity,
    maxBytes: maxBytes ?? Infinity,
    ttlMs: ttlMs ?? Infinity,
    dedupeMs: dedupeMs ?? Infinity,
  };
  const draft: EventDraft = {
    id,
    event,
    ...(payload === null ? {} : { payload: read(payload[0]) }),
    ...(user === null ? {} : { user }),
    ...(key === null ? {} : { key }),
    ...(ttl === null ? {} : { ttl }),
    ...(trace === null ? {} : { trace }),
    ...(meta === null ? {} : { meta: read(meta[0]) as NonNullable<EventDraft['meta']> }),
  };
  return {
    channel,
    producer,
    fingerprint,
    ...(after === null ? {} : { after }),
    event: draft,
    bytes,
    policy,
  };
}

function wrap(value: unknown): Wrapped {
  return value === undefined ? null : [value];
}

/** Of what JSON leaves out, and of bytes, nothing is lost in a member's data. */
function wrapData({ data, ...entry }: PresenceEntry): object {
  return data === undefined ? entry : { ...entry, data: [data] };
}

function unwrapData(parsed: unknown, read: Reader): PresenceEntry {
  const { data, ...entry } = parsed as PresenceEntry;
  if (data === undefined) return entry;
  if (!Array.isArray(data)) throw new TypeError('A value is a list of one');
  return { ...entry, data: read(data[0]) };
}
