import { ThrottledLog } from '../core/async/throttled-log.js';
import type {
  ConsumedCounts,
  ConsumedPlace,
  ConsumerRun,
  ConsumerSite,
  ConsumerStatus,
  RealtimeConsumer,
} from '../core/ports/consumers.js';
import { Backoff, delay } from './backoff.js';
import { LaneWorker } from './lane-worker.js';
import type { ConsumeSettings } from './options.js';
import type { Lane, LaneWork, RecordSource } from './source.js';
import { textOf } from './thrown.js';

/** What a lane does now, where it does not simply work. */
interface Trouble {
  readonly state: 'retrying' | 'stopped';
  readonly reason: string;
}

/** Makes a consumer of a source, for the option `consumers` of the module. */
export function consumerOf<Raw>(
  settings: ConsumeSettings<Raw>,
  sourceFor: (site: ConsumerSite, journal: ThrottledLog) => RecordSource<Raw>,
  reads: readonly ConsumedPlace[] = [],
): RealtimeConsumer {
  return {
    name: settings.name,
    reads,
    open(site) {
      const journal = new ThrottledLog(site.logger, site.clock);
      return new Consumer(settings, site, sourceFor(site, journal), journal);
    },
  };
}

/** Runs the sessions of a source one after the other, for as long as the node does. */
class Consumer<Raw> implements ConsumerRun, LaneWork<Raw> {
  private readonly counts: ConsumedCounts = { published: 0, duplicate: 0, ignored: 0, dead: 0 };
  private readonly lanes = new Set<Lane<Raw>>();
  private readonly troubles = new Map<Lane<Raw>, Trouble>();
  private readonly closing = new AbortController();
  private readonly over = new AbortController();
  private readonly backoff: Backoff;
  /** Why there is no session. */
  private away: string | undefined = 'it has not begun to read';
  /** Monotonic time since which the session can be relied on; `undefined` while there is none. */
  private readyAt: number | undefined;
  /** Of lanes that a record stopped, its id: each session of them stops there again, until it can be published. */
  private readonly stops = new Map<string, string>();
  private running: Promise<void> | undefined;

  constructor(
    private readonly settings: ConsumeSettings<Raw>,
    private readonly site: ConsumerSite,
    private readonly source: RecordSource<Raw>,
    private readonly journal: ThrottledLog,
  ) {
    this.backoff = new Backoff(site.clock, site.entropy);
  }

  start(): void {
    this.running ??= this.runSessions();
  }

  status(): ConsumerStatus {
    const { counts, settings, source } = this;
    const { state, reason } = this.condition();
    return { name: settings.name, state, ...(reason !== undefined && { reason }), lag: source.lag(), counts };
  }

  async close(ms: number): Promise<void> {
    this.closing.abort();
    const { clock } = this.site;
    const done = new AbortController();
    const ended = (this.running ?? Promise.resolve()).then(() => done.abort());
    await Promise.race([ended, delay(clock, ms, done.signal)]);
    if (done.signal.aborted) return;
    // What hangs would keep the connections of the source, and so the process.
    this.over.abort();
    this.journal.warn(
      'close',
      () =>
        `Consumer ${this.settings.name}: what was under way did not end within ${Math.round(ms)} ms; another node reads it once more.`,
    );
  }

  async follow(lane: Lane<Raw>): Promise<void> {
    const { counts, journal, settings, site } = this;
    const state = {
      retrying: (reason: string | undefined): void => {
        if (reason === undefined) this.troubles.delete(lane);
        else this.troubles.set(lane, { state: 'retrying', reason });
      },
      stopped: (reason: string, record: string): boolean => {
        this.troubles.set(lane, { state: 'stopped', reason });
        const isNew = this.stops.get(lane.name) !== record;
        this.stops.set(lane.name, record);
        return isNew;
      },
      committed: (): void => void this.stops.delete(lane.name),
    };
    this.lanes.add(lane);
    try {
      const closing = { asked: this.closing.signal, over: this.over.signal };
      await new LaneWorker(lane, { settings, site, journal, counts, state, closing }).run();
    } catch (error) {
      // What is no longer this node's may not be committed: the next owner does.
      if (!lane.signal.aborted) throw error;
    } finally {
      this.lanes.delete(lane);
      this.troubles.delete(lane);
    }
  }

  onReady(): void {
    this.away = undefined;
    this.readyAt ??= this.site.clock.monotonic();
  }

  private async runSessions(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        await this.source.run(this, signal);
        this.away = 'its session has ended';
      } catch (error) {
        this.away = messageOf(error);
        if (signal.aborted) return;
        this.journal.warn(
          'source',
          () => `Consumer ${this.settings.name}: ${messageOf(error)}. It is tried again.`,
        );
      }
      await this.rest(signal);
    }
  }

  /** Until the next session is due. */
  private rest(signal: AbortSignal): Promise<void> {
    const { readyAt } = this;
    this.readyAt = undefined;
    if (readyAt !== undefined) this.backoff.lasted(this.site.clock.monotonic() - readyAt);
    return this.backoff.pause(signal);
  }

  private condition(): Pick<ConsumerStatus, 'state' | 'reason'> {
    if (this.closing.signal.aborted) return { state: 'closed' };
    const troubles = [...this.troubles.values()];
    const worst = troubles.find(({ state }) => state === 'stopped') ?? troubles[0];
    if (worst !== undefined) return worst;
    const reason = this.away ?? [...this.lanes].find(({ trouble }) => trouble !== undefined)?.trouble;
    return reason === undefined ? { state: 'working' } : { state: 'retrying', reason };
  }
}

/** First line of an error, shortened, without the name of the broker whose parts a source uses. */
function messageOf(error: unknown): string {
  const [line = ''] = textOf(error instanceof Error ? error.message : error).split('\n', 1);
  return line
    .replace(/^\w+Broker: /, '')
    .slice(0, 300)
    .replace(/\.$/, '');
}
