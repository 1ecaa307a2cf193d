import type { HistoryRecorder } from './history-recorder.js';
import { StreamWalk } from './history-stream.js';
import type {
  FinalLog,
  HistoryReport,
  HistoryRule,
  PublishRecord,
  StreamHistory,
  Violation,
} from './history-types.js';

export interface CheckOptions {
  /** Whether the fault may have taken acknowledged events from the broker. A new epoch must say so then. Default `false`. */
  readonly mayLose?: boolean;
}

/**
 * Judges a history by what the design promises (G2–G6, P10–P16), once everything is quiet:
 *
 * - to each client each channel is strictly +1 within an epoch, or the missing range is announced, and ends at the tip;
 * - nothing comes twice, by `seq` or by id; all clients, acknowledgements and the log agree on what is at a place;
 * - an acknowledged event is in the log exactly once, where it was said to be, and was delivered or announced;
 * - a publish of unknown outcome is in the log once or not at all, for all alike; a refused one is nowhere.
 */
export function checkHistory(
  history: HistoryRecorder,
  logs: readonly FinalLog[],
  options: CheckOptions = {},
): HistoryReport {
  return new HistoryCheck(history, logs, options.mayLose === true).run();
}

class HistoryCheck {
  private readonly violations: Violation[] = [];
  /** What is at a place, whoever said so first. */
  private readonly places = new Map<string, Map<string, string>>();
  private readonly kept = new Map<string, (readonly [PublishRecord, number])[]>();
  /** How far two epochs were compared already. */
  private readonly compared = new Map<string, number>();
  private lostByBroker = 0;

  constructor(
    private readonly history: HistoryRecorder,
    private readonly logs: readonly FinalLog[],
    private readonly mayLose: boolean,
  ) {}

  run(): HistoryReport {
    for (const log of this.logs) this.log(log);
    const walks = [...this.history.streams.values()].map((stream) => this.stream(stream));
    for (const walk of walks) this.compareEpochs(walk);
    for (const walk of walks) this.violations.push(...walk.violations);
    const total = (name: keyof StreamWalk['counts']): number =>
      walks.reduce((sum, { counts }) => sum + counts[name], 0);
    const publishes = [...this.history.publishes.values()];
    const ended = (kind: string): number => publishes.filter(({ outcome }) => outcome?.kind === kind).length;
    return {
      violations: this.violations,
      published: publishes.length,
      acknowledged: ended('acknowledged'),
      unknown: ended('unknown'),
      refused: ended('refused'),
      delivered: total('delivered'),
      gaps: total('gaps'),
      losses: total('losses'),
      truncations: total('truncations'),
      resets: total('resets'),
      lostByBroker: this.lostByBroker,
    };
  }

  private log(log: FinalLog): void {
    const { channel, position, events } = log;
    const placeOf = new Map<string, number>();
    for (const [index, { seq, id }] of events.entries()) {
      if (placeOf.has(id))
        this.broken('log', channel, `${id} is in the log twice: ${placeOf.get(id)} and ${seq}`);
      if (!this.history.publishes.has(id))
        this.broken('phantom', channel, `${id} in the log was never published`);
      const before = events[index - 1]?.seq;
      if (before !== undefined && seq !== before + 1) this.broken('log', channel, `${seq} follows ${before}`);
      if (!placeOf.has(id)) placeOf.set(id, seq);
      this.place(channel, position.epoch, seq, id, (what) => this.broken('order', channel, what));
    }
    const oldest = events[0]?.seq ?? position.seq + 1;
    const kept: (readonly [PublishRecord, number])[] = [];
    for (const publish of this.history.publishes.values()) {
      if (publish.channel !== channel) continue;
      const seq = placeOf.get(publish.id);
      this.publish(publish, seq, log, oldest);
      if (publish.outcome?.kind === 'acknowledged' && seq !== undefined) kept.push([publish, seq]);
    }
    this.publisherOrder(channel, kept);
    this.kept.set(channel, kept);
  }

  private publish(publish: PublishRecord, seq: number | undefined, log: FinalLog, oldest: number): void {
    const { id, channel, outcome } = publish;
    if (outcome === undefined) return this.broken('silence', channel, `${id} was never answered`);
    if (outcome.kind === 'refused' && seq !== undefined)
      this.broken('log', channel, `${id} was refused (${outcome.code}) and is in the log at ${seq}`);
    if (outcome.kind !== 'acknowledged') return;
    const { position } = outcome;
    this.place(channel, position.epoch, position.seq, id, (what) => this.broken('order', channel, what));
    if (seq !== undefined) {
      if (seq !== position.seq)
        this.broken('log', channel, `${id} was acknowledged at ${position.seq} and is in the log at ${seq}`);
      return;
    }
    const isSameLog = position.epoch === log.position.epoch;
    // Trimmed by age or size: the log need not hold it any more.
    if (isSameLog && position.seq < oldest) return;
    if (this.mayLose && !isSameLog) this.lostByBroker++;
    else
      this.broken(
        'vanished',
        channel,
        `${id}, acknowledged at ${position.epoch}:${position.seq}, is not in the log`,
      );
  }

  private publisherOrder(channel: string, kept: readonly (readonly [PublishRecord, number])[]): void {
    const last = new Map<string, readonly [PublishRecord, number]>();
    for (const entry of kept) {
      const [{ publisher, id }, seq] = entry;
      const before = last.get(publisher);
      if (before !== undefined && before[1] > seq)
        this.broken(
          'publish-order',
          channel,
          `${id} was published after ${before[0].id} and is before it in the log`,
        );
      last.set(publisher, entry);
    }
  }

  private stream(stream: StreamHistory): StreamWalk {
    const { channel } = stream;
    const { publishes } = this.history;
    const walk = new StreamWalk(
      stream,
      (id) => publishes.get(id)?.channel === channel,
      (own, { epoch, seq, id }) => {
        this.place(channel, epoch, seq, id, (what) => own.broken('order', what));
        if (publishes.get(id)?.outcome?.kind === 'refused') own.broken('phantom', `${id} was refused`);
      },
    );
    walk.run();
    const log = this.logs.find((one) => one.channel === channel);
    if (log !== undefined) walk.finish(log, this.kept.get(channel) ?? []);
    return walk;
  }

  /** A position that was honoured under another epoch lies in a true prefix: the same events are below it. */
  private compareEpochs(walk: StreamWalk): void {
    const places = this.places.get(walk.channel);
    for (const { from, to, until } of walk.steps) {
      const step = `${walk.channel} ${from} ${to}`;
      for (let seq = until; seq > (this.compared.get(step) ?? 0); seq--) {
        const [before, after] = [places?.get(`${from} ${seq}`), places?.get(`${to} ${seq}`)];
        if (before === undefined || after === undefined || before === after) continue;
        walk.broken(
          'order',
          `${from}:${seq} was ${before}, and after a complete recovery ${to}:${seq} is ${after}`,
        );
        break;
      }
      this.compared.set(step, Math.max(until, this.compared.get(step) ?? 0));
    }
  }

  private place(
    channel: string,
    epoch: string,
    seq: number,
    id: string,
    broken: (what: string) => void,
  ): void {
    let places = this.places.get(channel);
    if (places === undefined) this.places.set(channel, (places = new Map<string, string>()));
    const place = `${epoch} ${seq}`;
    const found = places.get(place);
    if (found === undefined) places.set(place, id);
    else if (found !== id) broken(`at ${epoch}:${seq} is ${id} to one and ${found} to another`);
  }

  private broken(rule: HistoryRule, channel: string, what: string): void {
    this.violations.push({ rule, channel, what, trace: [] });
  }
}

/** Violations as text, for a failing test. */
export function describeViolations(violations: readonly Violation[], shown = 5): string {
  const lines = violations
    .slice(0, shown)
    .flatMap(({ rule, channel, client, what, trace }) => [
      `[${rule}] ${client ?? 'log'} ${channel}: ${what}`,
      ...trace.map((record) => `    ${record}`),
    ]);
  return [`${violations.length} violations`, ...lines].join('\n');
}
