import type {
  ActivateOutcome,
  Command,
  Genesis,
  GenesisOutcome,
  HelloOutcome,
  Mark,
  Outcome,
} from './commands.js';
import { Digest } from './digest.js';
import { DONE } from './full.js';
import { Machine, type MachineState } from './machine.js';
import { Marks, type MarksState } from './marks.js';
import { RunningMoment } from './moment.js';
import { readCommand } from './read-command.js';
import type { LogRecord, RecordContent, RecordOutcome } from './record.js';
import { Writers, type WritersState } from './writers.js';

/** Versions of the semantics that this code can run. */
export const VERSIONS: readonly number[] = [1];
/** Most that one record moves machine time on: a log whose clock jumps ahead must not end all leases. */
const MAX_STEP_MS = 60_000;
/** Requests of one record: its places are numbered from a multiple of this. */
const PLACES = 65_536;

/** Digests of all records up to one, and of all that was answered to them. */
export interface PartitionDigests {
  /** Of the last record; -1 where none was read. */
  readonly offset: number;
  /** Of offsets, times and bytes: differs where two nodes read different logs. */
  readonly input: string;
  /** Of outcomes and state: differs with equal input only where two nodes run different code or settings. */
  readonly outcome: string;
}

/** A {@link Partition} in a checkpoint: plain data that JSON keeps, but for bytes in the data of members. */
export interface PartitionState {
  readonly format: 1;
  readonly offset: number;
  readonly lastTimeMs: number | null;
  readonly now: number;
  readonly version: number;
  readonly hasBegun: boolean;
  readonly skipped: number;
  readonly input: string;
  readonly outcome: string;
  readonly writers: WritersState;
  readonly marks: MarksState;
  readonly machine: MachineState;
}

/**
 * A machine that is driven by the records of a log. It gives each record its machine time, skips what was sent again or is not of this
 * log, and sums up what it read and answered, so that nodes can compare. All readers of one log come to the same state, however the
 * records arrive: one by one, or after a checkpoint.
 */
export class Partition {
  readonly machine: Machine;
  /** Why this node must not serve the partition: its settings are not those of the log, or its code cannot run the log's version. */
  stopped: 'settings' | 'version' | undefined;
  /** Version of the semantics that is applied. */
  version: number;
  private readonly marksOf = new Marks();
  private readonly writers = new Writers();
  private input = new Digest();
  private outcome = new Digest();
  private offset = -1;
  private lastTimeMs: number | undefined;
  private now = 0;
  private hasBegun = false;
  /** Commands that were none, or made the code throw. */
  private skips = 0;
  private readonly moment = new RunningMoment();

  /** @param genesis What this node takes for the genesis of the log. */
  constructor(private readonly genesis: Genesis) {
    this.machine = new Machine(genesis.settings, genesis.incarnation);
    this.version = genesis.version;
  }

  /** Offset of the last record that was applied or skipped; -1 for none. */
  get position(): number {
    return this.offset;
  }

  get digests(): PartitionDigests {
    return { offset: this.offset, input: this.input.value, outcome: this.outcome.value };
  }

  /** Commands that were skipped since the log began: not zero where there is a bug, or somebody else writes to the log. */
  get skipped(): number {
    return this.skips;
  }

  /** For a {@link Hello} of this node. */
  marks(): readonly Mark[] {
    return this.marksOf.shown();
  }

  /**
   * Applies the next record of the log.
   *
   * @param local What the monotonic clock of this node showed when the record was written, as far as is known: for `ttl` alone.
   */
  apply(record: LogRecord, local: number): RecordOutcome {
    if (this.stopped !== undefined) return { applied: false, why: 'stopped' };
    this.advance(record, local);
    const outcome = this.outcomeOf(record);
    const { offset, timeMs, bytes } = record;
    this.offset = offset;
    this.input.number(offset);
    this.input.number(timeMs);
    this.input.bytes(bytes);
    this.mixOutcome(outcome);
    this.marksOf.add({ offset, digest: this.input.value, now: this.now });
    return outcome;
  }

  /**
   * Puts events of a record that is behind the checkpoint where they are missing; changes nothing else.
   *
   * @param local As of `apply`.
   */
  fill({ content, offset, timeMs }: LogRecord, local: number): void {
    if (content?.incarnation !== this.genesis.incarnation) return;
    let place = offset * PLACES + 1;
    for (const value of content.commands) {
      const command = readCommand(value);
      if (command?.kind !== 'append') continue;
      for (const request of command.requests) this.machine.fill(request, place++, { ts: timeMs, local });
    }
  }

  /** To be called when all records behind the checkpoint were filled in. @returns How many events the log no longer has. */
  fillRest(): number {
    return this.machine.fillRest();
  }

  /** Offset of the first record that has an event which is missing; `undefined` where none is. */
  get oldestMissing(): number | undefined {
    const place = this.machine.oldestMissing;
    return place === undefined ? undefined : Math.floor(place / PLACES);
  }

  /** The whole state but the events. */
  save(): PartitionState {
    return {
      format: 1,
      offset: this.offset,
      lastTimeMs: this.lastTimeMs ?? null,
      now: this.now,
      version: this.version,
      hasBegun: this.hasBegun,
      skipped: this.skips,
      input: this.input.value,
      outcome: this.outcome.value,
      writers: this.writers.save(),
      marks: this.marksOf.save(),
      machine: this.machine.save(),
    };
  }

  /** Makes a partition of a checkpoint. Its events are missing: `fill` from {@link oldestMissing} on, then `fillRest`. */
  static restored(genesis: Genesis, state: PartitionState): Partition {
    const partition = new Partition(genesis);
    partition.offset = state.offset;
    partition.lastTimeMs = state.lastTimeMs ?? undefined;
    partition.now = state.now;
    partition.version = state.version;
    partition.hasBegun = state.hasBegun;
    partition.skips = state.skipped;
    partition.input = Digest.of(state.input);
    partition.outcome = Digest.of(state.outcome);
    partition.writers.restore(state.writers);
    partition.marksOf.restore(state.marks);
    partition.machine.restore(state.machine);
    if (!VERSIONS.includes(state.version)) partition.stopped = 'version';
    return partition;
  }

  /** Moves machine time on by what lies between two records, and ends what is due. Every record does, also one that is skipped. */
  private advance({ offset, timeMs, term }: LogRecord, local: number): void {
    const step = timeMs - (this.lastTimeMs ?? timeMs);
    this.now += Math.floor(Math.max(0, Math.min(step, MAX_STEP_MS)));
    this.lastTimeMs = timeMs;
    const { moment, machine } = this;
    moment.set(this.now, timeMs, local);
    // Never 0, which says that nothing is read again.
    moment.place = offset * PLACES + 1;
    machine.advance(moment);
    this.writers.expire(this.now);
    if (term > machine.term) machine.begin(term);
  }

  private outcomeOf({ content, offset }: LogRecord): RecordOutcome {
    if (content === undefined) return { applied: false, why: 'foreign' };
    if (content.incarnation !== this.genesis.incarnation) return { applied: false, why: 'other_log' };
    if (!this.hasBegun && !beginsLog(content)) return { applied: false, why: 'foreign' };
    if (!this.writers.admit(content.writer, content.n, this.now)) return { applied: false, why: 'repeated' };
    const outcomes = content.commands.map((command) => this.outcomeOfCommand(readCommand(command), offset));
    return { applied: true, outcomes };
  }

  private outcomeOfCommand(command: Command | undefined, offset: number): Outcome {
    if (command === undefined) return this.skip('This is no command of this version');
    switch (command.kind) {
      case 'genesis':
        return this.begin(command);
      case 'hello':
        return this.hello(command, offset);
      case 'activate':
        return this.activate(command);
      default: {
        const outcome = this.machine.apply(command, this.moment);
        if (command.kind === 'append') this.moment.place += command.requests.length;
        return 'code' in outcome && outcome.code === 'skipped' ? this.skip(outcome.error) : outcome;
      }
    }
  }

  private skip(error: unknown): Outcome {
    this.skips += 1;
    return { ok: false, code: 'skipped', error };
  }

  private begin(found: Command<'genesis'>): GenesisOutcome {
    const differs = differenceOf(this.genesis, found);
    // Only the first counts: a later one is of a node that did not know it.
    if (this.hasBegun) return differs === undefined ? DONE : { ok: false, code: 'mismatch', differs };
    this.hasBegun = true;
    this.version = found.version;
    if (differs !== undefined) this.stopped = 'settings';
    else if (!VERSIONS.includes(found.version)) this.stopped = 'version';
    return differs === undefined ? DONE : { ok: false, code: 'mismatch', differs };
  }

  private hello({ marks }: Command<'hello'>, offset: number): HelloOutcome {
    const [newest] = marks;
    const { last, isAll } = this.marksOf.compare(marks);
    // What has this offset here, the node has read as something else.
    const isAhead = newest !== undefined && newest.offset >= offset;
    if (isAll && !isAhead) return { ok: true };
    this.machine.lose(this.machine.term + 1, last?.now ?? -Infinity);
    return { ok: true, lostAfter: last?.offset ?? -1 };
  }

  private activate({ version }: Command<'activate'>): ActivateOutcome {
    const nodes = this.machine.liveNodes().filter(({ versions }) => !versions.includes(version));
    if (nodes.length > 0) return { ok: false, code: 'not_ready', nodes: nodes.map(({ id }) => id) };
    this.version = version;
    if (!VERSIONS.includes(version)) this.stopped = 'version';
    return DONE;
  }

  private mixOutcome(outcome: RecordOutcome): void {
    if (outcome.applied)
      for (const one of outcome.outcomes) this.outcome.data('error' in one ? 'skipped' : one);
    else this.outcome.text(outcome.why);
    this.outcome.number(this.now);
    this.machine.mixInto(this.outcome);
  }
}

function beginsLog({ commands: [first] }: RecordContent): boolean {
  return readCommand(first)?.kind === 'genesis';
}

/** Name of the first part in which two differ that must be equal; the version is the log's own. */
function differenceOf(own: Genesis, found: Genesis): string | undefined {
  for (const name of ['layout', 'partitions', 'hash', 'incarnation'] as const)
    if (own[name] !== found[name]) return name;
  for (const [name, value] of Object.entries(own.settings))
    if (Object.entries(found.settings).every(([other, theirs]) => other !== name || theirs !== value))
      return name;
  return undefined;
}
