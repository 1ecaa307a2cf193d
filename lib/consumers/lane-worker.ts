import type { ThrottledLog } from '../core/async/throttled-log.js';
import { withTimeout } from '../core/async/with-timeout.js';
import type { ConsumedCounts, ConsumerSite } from '../core/ports/consumers.js';
import { isPromise, type MaybePromise } from '../core/ports/maybe-promise.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { isRecord } from '../protocol/validation/checks.js';
import { Backoff } from './backoff.js';
import { publishInOrder, type Outgoing } from './in-order.js';
import type { ConsumeSettings } from './options.js';
import type { Lane, SourceRecord } from './source.js';
import { thrown } from './thrown.js';
import { WorkTime, type Closing } from './work-time.js';

/** What a lane tells of itself, for the state of its consumer. */
export interface LaneState {
  /** Attempts fail, and why; `undefined`: they no longer do. */
  retrying(reason: string | undefined): void;
  /** It waits behind a record that cannot be published. @param record its id. @returns whether it does not since a session before */
  stopped(reason: string, record: string): boolean;
  /** Records were dealt with: it stands behind none any more. */
  committed(): void;
}

export interface LaneWorkerDeps<Raw> {
  readonly settings: ConsumeSettings<Raw>;
  readonly site: ConsumerSite;
  readonly journal: ThrottledLog;
  readonly counts: ConsumedCounts;
  readonly state: LaneState;
  readonly closing: Closing;
}

/** Why there is no event of a record. */
interface Failure<Raw> {
  readonly of: SourceRecord<Raw>;
  readonly error: unknown;
}

/** What becomes of the first records of a batch. */
interface Mapped<Raw> {
  readonly events: readonly Outgoing<SourceRecord<Raw>>[];
  /** Which of them have no event, by their index. */
  readonly ignored: readonly number[];
  /** The first of which no event can be made; those behind it were not looked at. */
  readonly failure: Failure<Raw> | undefined;
  /** How many records these are. */
  readonly count: number;
}

/** How long `to` and `deadLetter` may take for one record, in milliseconds; after that they are called once more. */
const CALL_TIMEOUT_MS = 30_000;

/**
 * Publishes the records of one lane, batch by batch: each batch is acknowledged by the broker before it is committed, and committed before
 * the next one is read. What was not committed when a node ended is read once more by the next owner, with the same ids.
 */
export class LaneWorker<Raw> {
  private readonly backoff: Backoff;
  private readonly time: WorkTime;
  /** Monotonic time of the first publish under way whose outcome is not known. */
  private unknownSince: number | undefined;

  constructor(
    private readonly lane: Lane<Raw>,
    private readonly deps: LaneWorkerDeps<Raw>,
  ) {
    this.backoff = new Backoff(deps.site.clock, deps.site.entropy);
    this.time = new WorkTime(lane.signal, deps.closing);
  }

  /** Ends with the signal of the lane, and what is under way then. @throws Error of the source */
  async run(): Promise<void> {
    const { lane } = this;
    try {
      while (!lane.signal.aborted) {
        const records = await lane.next();
        if (records.length > 0) await this.handle(records);
      }
    } finally {
      this.time.dispose();
    }
  }

  private async handle(records: readonly SourceRecord<Raw>[]): Promise<void> {
    const { lane, deps } = this;
    let rest = records;
    while (rest.length > 0 && !lane.signal.aborted) {
      const { events, ignored, failure, count } = await this.map(rest);
      if (this.time.isOver) return;
      const refused = await this.publish(events);
      if (refused === 'ended') return;
      const dead = refused ?? failure;
      const taken = dead === undefined ? count : rest.indexOf(dead.of);
      const last = rest[taken - 1];
      if (last !== undefined) {
        await lane.commit(last);
        deps.state.committed();
        this.backoff.reset();
        deps.state.retrying(undefined);
      }
      deps.counts.ignored += ignored.filter((index) => index < taken).length;
      rest = rest.slice(taken);
      if (dead === undefined) continue;
      // What `to` needs may be gone already: the next owner asks it once more.
      if (lane.signal.aborted) return;
      if (isTemporary(dead.error)) {
        this.retry(dead.error, '`to` fails');
        await this.backoff.pause(lane.signal, dead.error.retryAfterMs);
      } else {
        if (!(await this.bury(dead))) return;
        await lane.commit(dead.of);
        rest = rest.slice(1);
      }
    }
  }

  /** Makes the events of records, up to the first of which none can be made, or the one that is under way when the lane ends. */
  private async map(records: readonly SourceRecord<Raw>[]): Promise<Mapped<Raw>> {
    const { settings, site } = this.deps;
    const events: Outgoing<SourceRecord<Raw>>[] = [];
    const ignored: number[] = [];
    for (const [index, of] of records.entries()) {
      if (index > 0 && this.lane.signal.aborted) return { events, ignored, failure: undefined, count: index };
      try {
        const event = await this.answerOf(settings.to(of.raw));
        if (event === null) ignored.push(index);
        else {
          assertEvent(event);
          const publish = site.prepare({ ...event, id: event.id ?? of.id });
          events.push({ of, publish, isOwnId: event.id === undefined });
        }
      } catch (error) {
        return { events, ignored, failure: { of, error }, count: index };
      }
    }
    return { events, ignored, failure: undefined, count: records.length };
  }

  /** What the application answers, in its time and in that of the work. */
  private answerOf<T>(call: MaybePromise<T>): MaybePromise<T> {
    const answer = withTimeout(call, CALL_TIMEOUT_MS, this.deps.site.clock);
    return isPromise(answer) ? this.time.within(answer) : answer;
  }

  private publish(
    events: readonly Outgoing<SourceRecord<Raw>>[],
  ): Promise<Failure<Raw> | 'ended' | undefined> {
    const { counts, state, journal, settings } = this.deps;
    this.unknownSince = undefined;
    return publishInOrder(
      events,
      {
        backoff: this.backoff,
        counts,
        onRetry: (error) => this.retry(error, 'publishes fail'),
        onProgress: () => state.retrying(undefined),
        assertHeld: () => this.assertHeld(),
        onDifferent: () =>
          journal.warn(
            'different',
            () =>
              `Consumer ${settings.name}: a record that was read once more gave another event than before; the first one stays. ` +
              'Let `to` depend on the record alone, not on the time or on chance.',
          ),
      },
      this.lane.signal,
    );
  }

  /** @throws Error after this node stood still, as by a debugger or a machine that was paused: its session is to be begun again */
  private assertHeld(): void {
    const { lane } = this;
    if (lane.isHeld?.() !== false) return;
    throw new Error(
      `${lane.name} may be another node's, as this one stood still for longer than \`takeOverMs\``,
    );
  }

  private retry({ code }: RealtimeError, what: string): void {
    const { lane } = this;
    const { state, journal, settings, site } = this.deps;
    const { name } = settings;
    const now = site.clock.monotonic();
    if (code === 'timeout') this.unknownSince ??= now;
    state.retrying(`${what} with ${code}`);
    journal.warn('retry', () => `Consumer ${name}: ${lane.name} waits, as ${what} with ${code}.`);
    if (this.unknownSince === undefined || now - this.unknownSince <= site.dedupeMs) return;
    journal.warn(
      'forgotten',
      () =>
        `Consumer ${name}: publishes of ${lane.name} had no answer for longer than limits.dedupe (${site.dedupeMs} ms), so that some ` +
        'of its events may be there twice. Raise limits.dedupe above the longest outage.',
    );
  }

  /** @returns whether the record was dealt with; `false` when the lane ended before. */
  private async bury({ of, error }: Failure<Raw>): Promise<boolean> {
    const { counts, state, journal, settings, site } = this.deps;
    const { deadLetter, name } = settings;
    const { signal } = this.lane;
    const code =
      error instanceof NoEventError
        ? error.message
        : error instanceof RealtimeError
          ? error.code
          : 'an error of `to`';
    journal.debug(
      'why',
      () => `Consumer ${name}: the record at ${of.place} gives no event: ${thrown(error)}`,
    );
    if (deadLetter === 'stop') {
      if (state.stopped(`the record at ${of.place} cannot be published: ${code}`, of.id)) {
        counts.dead += 1;
        site.logger.error(
          `Consumer ${name}: ${this.lane.name} stops, as the record at ${of.place} cannot be published: ${code}. Mend what refuses it ` +
            'and start again, or set `deadLetter`; the log says more at level debug.',
        );
      }
      await aborted(signal);
      return false;
    }
    journal.warn('dead', () => `Consumer ${name}: the record at ${of.place} cannot be published: ${code}.`);
    if (deadLetter !== 'skip') {
      const dead = { record: of.raw, place: of.place, error };
      if (!(await this.handOver(async () => deadLetter(dead)))) return false;
    }
    counts.dead += 1;
    return true;
  }

  /** Calls for as long as it fails. @returns `false` when the lane ended before it worked */
  private async handOver(call: () => Promise<void>): Promise<boolean> {
    const { state, journal, settings } = this.deps;
    const { signal } = this.lane;
    while (!this.time.isOver) {
      try {
        await this.answerOf(call());
        this.backoff.reset();
        state.retrying(undefined);
        return true;
      } catch (error) {
        if (this.time.isOver) return false;
        state.retrying('`deadLetter` fails');
        journal.warn(
          'letter',
          () => `Consumer ${settings.name}: \`deadLetter\` fails, and is called once more.`,
        );
        journal.debug(
          'letter why',
          () => `Consumer ${settings.name}: \`deadLetter\` fails: ${thrown(error)}`,
        );
        await this.backoff.pause(signal);
      }
      if (signal.aborted) break;
    }
    return false;
  }
}

/** `to` returned what is neither an event nor `null`. Its message has nothing of the record. */
class NoEventError extends TypeError {}

/** @throws NoEventError where JavaScript returned no object, such as by an arrow function whose braces are a block */
function assertEvent(event: unknown): void {
  if (isRecord(event)) return;
  const other = event === undefined ? 'undefined' : `a ${typeof event}`;
  const kind = Array.isArray(event) ? 'an array' : ArrayBuffer.isView(event) ? 'bytes' : other;
  throw new NoEventError(
    `\`to\` returned ${kind}: return { channel, event, payload }, or null where the record is no event`,
  );
}

/** Whether an error says itself that the same may work later. */
function isTemporary(error: unknown): error is RealtimeError {
  return error instanceof RealtimeError && error.retryable;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
