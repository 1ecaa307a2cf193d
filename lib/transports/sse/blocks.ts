import type { FramedEnvelope, WireVariant } from '../../core/ports/connection.js';
import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import { jsonCodec } from '../../protocol/codecs/json.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { Position } from '../../protocol/position.js';
import { NOTE_MARK } from './places.js';
import { ResumeIds } from './resume-id.js';

/** Where a message that is a client's own carries the id of its block, or a note of it. Symbols are not written. */
export const BLOCK_ID = Symbol('id');

/** A message with the id of its block. */
export interface Identified extends Envelope {
  readonly [BLOCK_ID]?: string | undefined;
}

/** A comment, which keeps a proxy from taking the connection for idle. */
export const COMMENT = ':\n\n';

/** How a stream is written. Streams of one shape share the bytes of events. */
export interface StreamShape {
  /** Chunks of HTTP/1.1; `false` where the connection itself ends the body, or Node frames it. */
  readonly chunked: boolean;
  /** Events have the name that the application gave them. */
  readonly named: boolean;
  /** The stream has one channel, so the id of an event is the same for all. */
  readonly single: boolean;
}

const EMPTY = Buffer.alloc(0);
const LINE_END = Buffer.from('\r\n');
/** What a field may not hold (WHATWG HTML §9.2.5). */
const BREAKS = /[\n\r\0]/;
/** Names that an `EventSource` gives to events of its own. */
const RESERVED: ReadonlySet<string> = new Set(['error', 'open', 'message']);

/** The lines of a block, without the one that ends it. */
export function blockOf(fields: {
  readonly id?: string | undefined;
  readonly retryMs?: number | undefined;
  readonly event?: string | undefined;
  readonly data?: string | undefined;
}): string {
  const { id, retryMs, event, data } = fields;
  let lines = '';
  if (id !== undefined) lines += `id: ${id}\n`;
  if (retryMs !== undefined) lines += `retry: ${Math.ceil(retryMs)}\n`;
  if (event !== undefined) lines += `event: ${event}\n`;
  if (data !== undefined) lines += `data: ${data}\n`;
  return `${lines}\n`;
}

/** An `error` that is a client's own. @param ts milliseconds since the Unix epoch. */
export function errorBlock(
  payload: unknown,
  ts: number,
  fields: { readonly id?: string; readonly retryMs?: number },
): string {
  return blockOf({ ...fields, data: JSON.stringify({ type: 'error', ts, payload }) });
}

const ID_FIELD = Buffer.from('id: ');
const LINE_FEED = 10;

/** The note that a block carries in the place of its id. */
export function noteOf(block: Buffer): string | undefined {
  if (block[0] !== ID_FIELD[0] || block[ID_FIELD.length] !== NOTE_MARK.charCodeAt(0)) return undefined;
  return block.toString('latin1', ID_FIELD.length, block.indexOf(LINE_FEED));
}

/** The same block with the id itself, in two parts, as it may be large. */
export function withId(block: Buffer, id: string): readonly Buffer[] {
  return [Buffer.from(`id: ${id}`), block.subarray(block.indexOf(LINE_FEED))];
}

/** One chunk of HTTP/1.1 (RFC 9112 §7.1). An empty one would end the body. */
export function chunkOf(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  return bytes === 0 ? EMPTY : Buffer.from(`${bytes.toString(16)}\r\n${text}\r\n`);
}

/** The variants of a transport, each made once: what is kept of an event is found by it. */
export class BlockVariants {
  private readonly made = new Map<string, WireVariant>();

  of(shape: StreamShape): WireVariant {
    const key = `${shape.chunked} ${shape.named} ${shape.single}`;
    let variant = this.made.get(key);
    if (variant === undefined) this.made.set(key, (variant = variantOf(shape)));
    return variant;
  }
}

function variantOf({ chunked, named, single }: StreamShape): WireVariant {
  const codec = new BlockCodec(named, single);
  return chunked
    ? { codec, frame: chunkedFrame, frameOne: chunkedFrameOne }
    : { codec, frame: (blocks) => Buffer.concat(blocks), frameOne: bareFrameOne };
}

/** Writes an envelope as one block of an event stream (P20). What the transport itself sends to the engine is plain JSON. */
class BlockCodec implements Codec {
  readonly name = 'sse';
  readonly subprotocol = '';
  readonly binary = false;
  /** Of what clients send; a block has its own end. */
  readonly separator = 0x0a;
  /** Of the channel that was asked for last, since one event is written for many streams. */
  private last: { readonly channel: string; readonly ids: ResumeIds } | undefined;

  constructor(
    private readonly named: boolean,
    private readonly single: boolean,
  ) {}

  encode(envelope: Identified): string {
    const { type, event } = envelope;
    const hasName = this.named && type === 'event' && event !== undefined;
    return blockOf({
      id: envelope[BLOCK_ID] ?? (this.single ? this.idOf(envelope) : undefined),
      event: hasName && !BREAKS.test(event) && !RESERVED.has(event) ? event : undefined,
      data: jsonCodec.encode(envelope) as string,
    });
  }

  decode: Codec['decode'] = (frame, limits) => jsonCodec.decode(frame, limits);

  /** The id behind a shared message of a stream of one channel. */
  private idOf({ type, channel, epoch, seq, payload }: Envelope): string | undefined {
    if (channel === undefined || epoch === undefined) return undefined;
    if (type === 'event' && seq !== undefined) return this.idAt(channel, { epoch, seq });
    if (type !== 'gap') return undefined;
    const { to, partial } = payload as { readonly to: number; readonly partial?: boolean };
    // Events of a partial gap still follow.
    return partial === true ? undefined : this.idAt(channel, { epoch, seq: to });
  }

  private idAt(channel: string, position: Position): string {
    if (this.last?.channel !== channel) this.last = { channel, ids: new ResumeIds([channel]) };
    return this.last.ids.write(new Map([[channel, position]]));
  }
}

function chunkedFrame(blocks: readonly Buffer[]): Buffer {
  let bytes = 0;
  for (const block of blocks) bytes += block.length;
  if (bytes === 0) return EMPTY;
  const head = `${bytes.toString(16)}\r\n`;
  const frame = Buffer.allocUnsafe(head.length + bytes + LINE_END.length);
  let at = frame.write(head, 0, 'latin1');
  for (const block of blocks) {
    frame.set(block, at);
    at += block.length;
  }
  frame.set(LINE_END, at);
  return frame;
}

function chunkedFrameOne(encoded: Encoded): FramedEnvelope {
  const text = encoded as string;
  const bytes = Buffer.byteLength(text);
  const head = `${bytes.toString(16)}\r\n`;
  const frame = Buffer.allocUnsafe(head.length + bytes + LINE_END.length);
  const start = frame.write(head, 0, 'latin1');
  frame.write(text, start);
  frame.set(LINE_END, start + bytes);
  return { frame, bytes: frame.subarray(start, start + bytes) };
}

function bareFrameOne(encoded: Encoded): FramedEnvelope {
  const frame = Buffer.from(encoded as string);
  return { frame, bytes: frame };
}
