import type { Position } from '../../../lib/protocol/position.js';
import type {
  FinalLog,
  HistoryAnswer,
  HistoryGap,
  HistoryRule,
  PublishRecord,
  StreamHistory,
  StreamRecord,
  Violation,
} from './history-types.js';

/** Records that a violation shows. */
const TRACE = 8;
/** Violations that one stream reports; one fault has many echoes. */
const MAX_REPORTED = 5;

/** That a client was carried from one epoch into another with everything up to `until` held true (P10). */
export interface EpochStep {
  readonly from: string;
  readonly to: string;
  readonly until: number;
}

type EventRecord = Extract<StreamRecord, { kind: 'event' }>;

/**
 * Walks through what one client was told of one channel, with the cursor of P14 and none of its lenience: within an
 * epoch strictly +1, or announced. A *stretch* reaches from `new` or `lost` to the next `lost`; what the client was given
 * in its last stretch must be what the log holds.
 */
export class StreamWalk {
  readonly violations: Violation[] = [];
  readonly steps: EpochStep[] = [];
  readonly counts = { delivered: 0, gaps: 0, losses: 0, truncations: 0, resets: 0 };
  private cursor: Position | undefined;
  private partialTo = 0;
  /** Where the last stretch begins. */
  private start = 0;
  private given = new Map<number, string>();
  private ids = new Set<string>();
  private announced: (readonly [from: number, to: number])[] = [];
  private index = 0;

  constructor(
    private readonly stream: StreamHistory,
    private readonly wasPublished: (id: string) => boolean,
    /** Told of every event, for what clients must agree on. */
    private readonly onEvent: (walk: StreamWalk, event: EventRecord) => void,
  ) {}

  get channel(): string {
    return this.stream.channel;
  }

  run(): void {
    const { records } = this.stream;
    for (this.index = 0; this.index < records.length; this.index++) {
      const record = records[this.index] as StreamRecord;
      if (record.kind === 'event') this.event(record);
      else if (record.kind === 'gap') this.gap(record.epoch, record.gap);
      else this.answer(record.answer, record.kind === 'reset');
    }
  }

  /** Compares the last stretch with the log. @param acknowledged this channel's, with their places in the log. */
  finish(log: FinalLog, acknowledged: readonly (readonly [PublishRecord, number])[]): void {
    const { cursor, start, given } = this;
    if (cursor === undefined) return this.broken('behind', 'never subscribed');
    const { position, events } = log;
    if (cursor.epoch !== position.epoch || this.covered !== position.seq)
      this.broken('behind', `ended at ${show(cursor)}, the log at ${show(position)}`);
    const held = new Map(events.map(({ seq, id }) => [seq, id]));
    const oldest = events[0]?.seq ?? position.seq + 1;
    for (const [seq, id] of given) {
      if (seq >= oldest && held.get(seq) !== id)
        this.broken('order', `was given ${id} at ${seq}, where the log holds ${held.get(seq) ?? 'nothing'}`);
    }
    for (const [{ id }, seq] of acknowledged) {
      if (seq > start && given.get(seq) !== id && !this.isAnnounced(seq))
        this.broken('undelivered', `${id} at ${seq} was acknowledged and neither delivered nor announced`);
    }
  }

  broken(rule: HistoryRule, what: string): void {
    if (this.violations.length >= MAX_REPORTED) return;
    const { client, channel, records } = this.stream;
    const trace = records.slice(Math.max(0, this.index - TRACE + 1), this.index + 1).map(line);
    this.violations.push({ rule, client, channel, what, trace });
  }

  /** Up to here everything was given or announced. */
  private get covered(): number {
    return Math.max(this.cursor?.seq ?? 0, this.partialTo);
  }

  private isAnnounced(seq: number): boolean {
    return this.announced.some(([from, to]) => seq >= from && seq <= to);
  }

  private answer(answer: HistoryAnswer, isReset: boolean): void {
    const { recovery, position } = answer;
    const before = this.cursor;
    if (isReset) this.counts.resets++;
    if (before === undefined) {
      if (recovery !== 'new' || isReset)
        this.broken('protocol', `${recovery} of a position that it never had`);
      return this.begin(position);
    }
    if (isReset && before.epoch === position.epoch) this.broken('protocol', 'a reset without a new epoch');
    const seq = isReset ? this.covered : before.seq;
    this.partialTo = 0;
    if (recovery === 'new') this.broken('protocol', `its position ${show(before)} was forgotten`);
    if (recovery === 'lost') this.counts.losses++;
    if (recovery === 'new' || recovery === 'lost') return this.begin(position);
    if (seq > position.seq) this.broken('protocol', `${recovery} of ${seq} beyond the tip ${position.seq}`);
    if (before.epoch !== position.epoch)
      this.steps.push({ from: before.epoch, to: position.epoch, until: seq });
    const next = recovery === 'truncated' ? (answer.from ?? position.seq + 1) : seq + 1;
    if (next > seq + 1) this.announced.push([seq + 1, next - 1]);
    if (recovery === 'truncated') this.counts.truncations++;
    this.cursor = { epoch: position.epoch, seq: next - 1 };
  }

  /** A place that nothing before it leads to. */
  private begin(position: Position): void {
    // Another log may hold an id again that a client saw in the log that was lost: its publisher tried once more.
    if (this.cursor?.epoch !== position.epoch) this.ids = new Set();
    this.cursor = position;
    this.start = position.seq;
    this.given = new Map();
    this.announced = [];
  }

  private event(event: EventRecord): void {
    const { cursor } = this;
    const { epoch, seq, id } = event;
    this.counts.delivered++;
    if (!this.wasPublished(id)) this.broken('phantom', `${id} was never published`);
    if (cursor === undefined) return this.broken('protocol', `${id} before any answer`);
    if (epoch !== cursor.epoch) {
      this.broken('protocol', `${id} of epoch ${epoch} without a reset from ${cursor.epoch}`);
      return;
    }
    this.onEvent(this, event);
    if (seq <= cursor.seq) return this.broken('repeat', `${id} at ${seq}, the cursor at ${cursor.seq}`);
    if (seq > this.covered + 1)
      this.broken('hole', `${id} at ${seq}, nothing announced ${this.covered + 1}–${seq - 1}`);
    if (this.ids.has(id)) this.broken('repeat', `${id} was given before, now at ${seq}`);
    this.ids.add(id);
    this.given.set(seq, id);
    this.cursor = { epoch, seq };
  }

  private gap(epoch: string, { from, to, partial = false }: HistoryGap): void {
    const { cursor } = this;
    this.counts.gaps++;
    if (cursor === undefined || epoch !== cursor.epoch)
      return this.broken('protocol', `a gap of epoch ${epoch} at ${show(cursor)}`);
    if (from > to || to <= cursor.seq)
      this.broken('protocol', `a gap ${from}–${to} with the cursor at ${cursor.seq}`);
    if (from > this.covered + 1)
      this.broken('hole', `a gap ${from}–${to} behind a hole at ${this.covered + 1}`);
    this.announced.push([from, to]);
    if (partial) this.partialTo = Math.max(this.partialTo, to);
    else this.cursor = { epoch, seq: Math.max(to, cursor.seq) };
  }
}

function show(position: Position | undefined): string {
  return position === undefined ? 'no position' : `${position.epoch}:${position.seq}`;
}

function line(record: StreamRecord): string {
  const at = record.at.toFixed(1);
  if (record.kind === 'event') return `${at} event ${record.epoch}:${record.seq} ${record.id}`;
  if (record.kind === 'gap') return `${at} gap ${record.epoch} ${JSON.stringify(record.gap)}`;
  const { recovery, position, from, to } = record.answer;
  const range = from === undefined ? '' : ` ${from}–${to ?? ''}`;
  return `${at} ${record.kind} ${recovery} ${show(position)}${range}`;
}
