import { idPrefix, LaneEnd, type Lane, type SourceRecord } from '../../../consumers/index.js';
import type { ThrottledLog } from '../../../core/async/throttled-log.js';
import type { Clock, Scheduled } from '../../../core/ports/clock.js';
import { MAX_ID_LENGTH } from '../../../protocol/envelope.js';
import type { RedisStreamRecord } from './record.js';
import { ACKNOWLEDGE, RELEASE, RENEW, TAKE } from './scripts.js';
import type { StreamClient, StreamWait } from './stream-client.js';

/** Part of a lease after which it is renewed. */
const RENEW_PART = 0.3;
/** Part of a lease after which who could not renew it stops: others may have it soon. */
const SURE_PART = 0.8;
/** What is new, and not what was delivered. */
const NEW = '>';
const FIRST = '0-0';

export interface StreamLaneDeps {
  readonly client: StreamClient;
  readonly clock: Clock;
  readonly journal: ThrottledLog;
  /** For logs. */
  readonly consumer: string;
  readonly group: string;
  /** Names this session. */
  readonly owner: string;
  /** How long a lease lasts without a word from who has it, in milliseconds. */
  readonly leaseMs: number;
  readonly maxBatch: number;
  readonly maxBatchBytes: number;
  /** Names this life of the stream where nothing does yet. */
  readonly identity: string;
  readonly onLag: (entries: number | undefined) => void;
}

/** One stream while this node has its lease: nobody else reads it in the name of the group. */
export class StreamLane implements Lane<RedisStreamRecord> {
  readonly name: string;
  private readonly end: LaneEnd;
  private readonly keys: readonly string[];
  /** Names the life of the stream from which entries were read last. */
  private identity: string;
  /** The beginning of the ids of their events. */
  private ids = '';
  /** Behind which id what was delivered is read; `undefined` when all of it was. */
  private pendingBehind: string | undefined = FIRST;
  /** Ids that were read and are not acknowledged, oldest first. */
  private open: string[] = [];
  private wait: StreamWait | undefined;
  private timer: Scheduled | undefined;
  /** Monotonic time before the question that proved the lease. */
  private heldAt: number;

  constructor(
    private readonly stream: string,
    private readonly deps: StreamLaneDeps,
    session: AbortSignal,
  ) {
    this.name = `stream ${stream}`;
    this.keys = streamKeys(stream, deps.group);
    this.identity = deps.identity;
    this.end = new LaneEnd(session);
    this.heldAt = deps.clock.monotonic();
    this.signal.addEventListener('abort', () => this.ended(), { once: true });
  }

  get signal(): AbortSignal {
    return this.end.signal;
  }

  isHeld(): boolean {
    return this.deps.clock.monotonic() - this.heldAt <= this.deps.leaseMs;
  }

  /** Asks for the lease. @returns whether this node has it */
  async acquire(): Promise<boolean> {
    if ((await this.ask(TAKE, [NEW, 0, 0, 1])) === null) return false;
    void this.renew();
    return true;
  }

  async next(): Promise<readonly SourceRecord<RedisStreamRecord>[]> {
    const { maxBatch, maxBatchBytes } = this.deps;
    const from = this.pendingBehind ?? NEW;
    const answer = (await this.ask(TAKE, [from, maxBatch, maxBatchBytes, 0])) as
      [identity: string, entries: [id: string, fields: string[]][], isCut: number, end: string] | null;
    if (answer === null) {
      this.end.end();
      return [];
    }
    const [identity, entries, isCut, end] = answer;
    this.identify(identity);
    const last = entries.at(-1)?.[0];
    if (last === undefined) {
      if (this.pendingBehind !== undefined) this.pendingBehind = undefined;
      else await this.waitFor(end);
      return [];
    }
    this.pendingBehind = from !== NEW || isCut === 1 ? last : undefined;
    this.open.push(...entries.map(([id]) => id));
    const there = entries.filter(([, fields]) => fields.length > 0);
    if (there.length < entries.length) await this.report(entries.length - there.length, there.length, last);
    return there.map(([id, fields]) => this.recordOf(id, fields));
  }

  async commit({ raw }: SourceRecord<RedisStreamRecord>): Promise<void> {
    await this.acknowledge(raw.id);
  }

  /** Ends it, and gives the lease back. Never rejects. */
  async release(): Promise<void> {
    this.end.end();
    await this.ask(RELEASE, []).catch(() => undefined);
  }

  /** Other servers, and other streams of the name, may have entries of the same ids. */
  private identify(identity: string): void {
    if (this.ids !== '' && identity === this.identity) return;
    this.identity = identity;
    this.ids = idPrefix('redis', identity, this.stream, this.deps.group);
  }

  private recordOf(id: string, texts: readonly string[]): SourceRecord<RedisStreamRecord> {
    const { stream } = this;
    const fields = Object.fromEntries(
      Array.from({ length: texts.length / 2 }, (_, index) => [texts[2 * index], texts[2 * index + 1]]),
    ) as Record<string, string>;
    return { raw: { stream, id, fields }, id: recordId(this.ids, id), place: `${stream} ${id}` };
  }

  /** Entries that were trimmed after they had been delivered. */
  private async report(count: number, left: number, last: string): Promise<void> {
    const { consumer, journal } = this.deps;
    journal.warn(
      'trimmed',
      () =>
        `Consumer ${consumer}: ${count} entries of ${this.name} were trimmed before they were published. Keep more of the stream ` +
        '(MAXLEN, MINID), or let the consumer catch up.',
    );
    // Otherwise they are committed with what is behind them.
    if (left === 0) await this.acknowledge(last);
  }

  /** All up to an id. */
  private async acknowledge(id: string): Promise<void> {
    const count = this.open.indexOf(id) + 1;
    const answer = await this.ask(ACKNOWLEDGE, this.open.slice(0, count));
    this.open = this.open.slice(count);
    if (answer !== 1) this.end.end();
  }

  private async waitFor(end: string): Promise<void> {
    this.wait ??= await this.deps.client.waiter();
    // One that was opened meanwhile is not needed any more.
    if (this.signal.aborted) return this.wait.end();
    try {
      await this.wait.entryBehind(this.stream, end);
    } catch (error) {
      if (!this.signal.aborted) throw error;
    }
  }

  private renewLater(): void {
    this.timer = this.deps.clock.schedule(this.deps.leaseMs * RENEW_PART, () => void this.renew());
  }

  private async renew(): Promise<void> {
    if (this.signal.aborted) return;
    try {
      const answer = await this.ask(RENEW, []);
      if (answer === null) return this.end.end();
      this.deps.onLag(Number(answer) < 0 ? undefined : Number(answer));
    } catch {
      if (this.deps.clock.monotonic() - this.heldAt > this.deps.leaseMs * SURE_PART) return this.end.end();
    }
    if (!this.signal.aborted) this.renewLater();
  }

  private async ask(script: typeof TAKE, args: readonly (string | number)[]): Promise<unknown> {
    const { client, clock, group, leaseMs, owner } = this.deps;
    const asked = clock.monotonic();
    const answer = await client.run(script, this.keys, [group, owner, leaseMs, this.identity, ...args]);
    this.heldAt = asked;
    return answer;
  }

  private ended(): void {
    this.timer?.cancel();
    this.wait?.end();
    this.deps.onLag(0);
  }
}

/** Ids that writers give themselves may be as long as two numbers of 64 bits: those have a digest in place. */
function recordId(prefix: string, id: string): string {
  const whole = `${prefix}:${id}`;
  return whole.length <= MAX_ID_LENGTH ? whole : idPrefix('redis', prefix, id);
}

/** Keys of the scripts, all on the slot of the stream. */
export function streamKeys(stream: string, group: string): readonly string[] {
  const tag = /\{([^}]+)\}/.exec(stream)?.[1] ?? stream;
  const lease = `{${tag}}:nestjs-realtime:lease:${stream}:${group}`;
  // No group has braces, so it is the lease of none.
  return [stream, lease, `${lease}:{identity}`];
}
