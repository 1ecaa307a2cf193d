import type { Clock } from '../../core/ports/clock.js';
import type { SignalMessage } from '../../core/ports/broker.js';
import { wireValueReader } from '../../protocol/wire-value.js';
import type { DigestReport } from './digest-trail.js';
import { LogUnavailableError, type OrderedLog } from './ordered-log.js';

/** How long the parts of a message may take to arrive, in milliseconds. */
const PARTS_MS = 10_000;
/** Most bytes of messages whose parts have not all arrived. */
const MAX_PARTS_BYTES = 32 * 1024 * 1024;
/** Most bytes of messages of this node that wait to be sent. */
const MAX_SENDING_BYTES = 16 * 1024 * 1024;
/** Most parts of one message. */
const MAX_PARTS = 10_000;
/** Most characters of a text by which nodes name something. */
const MAX_NAME = 128;
/** Most nodes of which one says that they answer as it does: each is looked for with every look at the votes. */
const MAX_ALIKE = 1_024;
/** What a part counts beside its bytes: the objects that hold it. */
const PART_BYTES = 256;
/** Room for what stands before the bytes of a part. */
const HEAD_BYTES = 2_048;

/** What a signal says. */
export type Signal =
  | { readonly kind: 'signal'; readonly channel: string; readonly signal: SignalMessage }
  | {
      readonly kind: 'message';
      readonly to: string;
      readonly from: string;
      readonly topic: string;
      readonly bytes: Uint8Array;
    }
  /** A node has applied control records, or refused them: their places. */
  | {
      readonly kind: 'applied';
      readonly node: string;
      readonly done: readonly string[];
      readonly refused: readonly string[];
    }
  /** What a node has read and answered, by the name of its lease. */
  | { readonly kind: 'digests'; readonly lease: string; readonly reports: readonly DigestReport[] };

/** The head of a signal as it is sent: JSON, then a line break, then bytes. */
interface Head {
  readonly k: 's' | 'm' | 'a' | 'd';
  readonly [name: string]: unknown;
}

interface Parts {
  /** By their number; copies, as what they arrived in may be far larger. */
  readonly bytes: Map<number, Uint8Array>;
  readonly startedAt: number;
  /** With what holds them. */
  size: number;
}

/** What nodes send one another beside the log: at most once, in no order that is relied on, stored nowhere. */
export class Signals {
  private readonly parts = new Map<string, Parts>();
  private partsBytes = 0;
  private sent = 0;
  /** Messages of this node are sent one after the other: parts of many would wait for one another at the receiver. */
  private sending: Promise<void> = Promise.resolve();
  private sendingBytes = 0;
  private stop: (() => void) | undefined;

  constructor(
    private readonly log: OrderedLog,
    private readonly clock: Clock,
    private readonly node: string,
    private readonly onSignal: (signal: Signal) => void,
  ) {}

  async start(): Promise<void> {
    this.stop = await this.log.onSignal((bytes) => this.receive(bytes));
  }

  close(): void {
    this.stop?.();
    this.parts.clear();
    this.partsBytes = 0;
  }

  /** @throws LogUnavailableError */
  async sendSignal(channel: string, { event, payload, user }: SignalMessage): Promise<void> {
    const p = payload === undefined ? undefined : [payload];
    await this.log.signal(join({ k: 's', c: channel, n: event, p, u: user }, new Uint8Array()));
  }

  /** @throws LogUnavailableError, also where too much waits to be sent */
  async sendMessage(to: string, topic: string, bytes: Uint8Array): Promise<void> {
    if (this.sendingBytes > 0 && this.sendingBytes + bytes.length > MAX_SENDING_BYTES)
      throw new LogUnavailableError('Too much waits to be sent to other nodes');
    this.sendingBytes += bytes.length;
    const copy = bytes.slice();
    const sent = this.sending.then(() => this.sendParts(to, topic, copy));
    this.sending = sent.catch(() => undefined);
    try {
      await sent;
    } finally {
      this.sendingBytes -= bytes.length;
    }
  }

  /** @throws LogUnavailableError */
  async sendApplied(done: readonly string[], refused: readonly string[]): Promise<void> {
    await this.log.signal(join({ k: 'a', n: this.node, d: done, r: refused }, new Uint8Array()));
  }

  /** @throws LogUnavailableError */
  async sendDigests(lease: string, reports: readonly DigestReport[]): Promise<void> {
    const r = reports.map((one) => [
      one.partition,
      one.incarnation,
      one.offset,
      one.input,
      one.outcome,
      one.alike,
    ]);
    await this.log.signal(join({ k: 'd', l: lease, r }, new Uint8Array()));
  }

  private async sendParts(to: string, topic: string, bytes: Uint8Array): Promise<void> {
    this.sent += 1;
    const most = this.log.maxRecordBytes - HEAD_BYTES - 2 * Buffer.byteLength(to + topic + this.node);
    const count = Math.max(1, Math.ceil(bytes.length / most));
    for (let part = 0; part < count; part += 1) {
      const head: Head = { k: 'm', t: to, f: this.node, o: topic, i: this.sent, p: part, c: count };
      await this.log.signal(join(head, bytes.subarray(part * most, (part + 1) * most)));
    }
  }

  private receive(bytes: Uint8Array): void {
    const signal = this.read(bytes);
    if (signal !== undefined) this.onSignal(signal);
  }

  /** `undefined` for what is not for this node, is not complete, or is of another program or version. */
  private read(bytes: Uint8Array): Signal | undefined {
    const end = bytes.indexOf(0x0a);
    if (end < 0) return undefined;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString();
    try {
      const head = JSON.parse(text) as Record<string, unknown>;
      if (head['k'] === 's') return readSignal(head, text);
      if (head['k'] === 'a') return readApplied(head);
      if (head['k'] === 'd') return readDigests(head);
      if (head['k'] === 'm') return this.readMessage(head, bytes.subarray(end + 1));
    } catch {
      // Not written by a node of this form.
    }
    return undefined;
  }

  private readMessage(head: Record<string, unknown>, bytes: Uint8Array): Signal | undefined {
    const { t: to, f: from, o: topic, i: id, p: part, c: count } = head as Record<string, string | number>;
    if (to !== this.node || !isName(from) || typeof topic !== 'string') return undefined;
    const message = { kind: 'message', to, from, topic } as const;
    if (count === 1) return { ...message, bytes };
    const whole = this.assemble(`${from} ${id}`, Number(part), Number(count), bytes);
    return whole === undefined ? undefined : { ...message, bytes: whole };
  }

  private assemble(key: string, part: number, count: number, bytes: Uint8Array): Uint8Array | undefined {
    const now = this.clock.monotonic();
    // The oldest first.
    for (const [other, { startedAt }] of this.parts) {
      if (now - startedAt <= PARTS_MS) break;
      this.drop(other);
    }
    if (!(part >= 0 && part < count && count <= MAX_PARTS)) return undefined;
    const parts = this.parts.get(key) ?? this.begin(key, now);
    if (!parts.bytes.has(part)) {
      parts.bytes.set(part, new Uint8Array(bytes));
      this.charge(parts, bytes.length + PART_BYTES);
    }
    for (const other of this.parts.keys()) {
      if (this.partsBytes <= MAX_PARTS_BYTES) break;
      if (other !== key) this.drop(other);
    }
    // No message of a node is as large.
    if (this.partsBytes > MAX_PARTS_BYTES) this.drop(key);
    if (parts.bytes.size < count) return undefined;
    const all = Array.from({ length: count }, (_, index) => parts.bytes.get(index));
    if (!all.every((each) => each !== undefined)) return undefined;
    this.drop(key);
    return Buffer.concat(all);
  }

  private begin(key: string, startedAt: number): Parts {
    const parts: Parts = { bytes: new Map(), startedAt, size: 0 };
    this.parts.set(key, parts);
    this.charge(parts, PART_BYTES + 2 * key.length);
    return parts;
  }

  private charge(parts: Parts, bytes: number): void {
    parts.size += bytes;
    this.partsBytes += bytes;
  }

  private drop(key: string): void {
    this.partsBytes -= this.parts.get(key)?.size ?? 0;
    this.parts.delete(key);
  }
}

function join(head: Head, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
}

function readSignal({ c, n, p, u }: Record<string, unknown>, text: string): Signal | undefined {
  if (typeof c !== 'string' || typeof n !== 'string') return undefined;
  const signal = {
    event: n,
    ...(Array.isArray(p) ? { payload: wireValueReader(text)(p[0]) } : {}),
    ...(typeof u === 'string' ? { user: u } : {}),
  };
  return { kind: 'signal', channel: c, signal };
}

function readApplied({ n, d, r }: Record<string, unknown>): Signal | undefined {
  if (!isName(n) || !areNames(d) || !areNames(r)) return undefined;
  return { kind: 'applied', node: n, done: d, refused: r };
}

function readDigests({ l, r }: Record<string, unknown>): Signal | undefined {
  if (!isName(l) || !Array.isArray(r)) return undefined;
  const reports = (r as readonly unknown[]).flatMap((row) => {
    const [partition, incarnation, offset, input, outcome, alike] = Array.isArray(row)
      ? (row as readonly unknown[])
      : [];
    if (!isPlace(partition) || !isPlace(offset)) return [];
    if (!isName(incarnation) || !isName(input) || !isName(outcome)) return [];
    if (!areNames(alike) || alike.length > MAX_ALIKE) return [];
    return [{ partition, incarnation, offset, input, outcome, alike }];
  });
  return { kind: 'digests', lease: l, reports };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NAME;
}

function areNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isName);
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
