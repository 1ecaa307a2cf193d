import type { BrokerTransitions, Hold, Transition } from '../../core/ports/transitions.js';
import { readThing, thingName } from '../common/thing-name.js';
import type { RedisCommands } from './connection/commands.js';
import { DamagedKeys } from './damaged-keys.js';
import { commandError } from './errors.js';
import type { RedisKeys } from './keys.js';
import { PartitionRounds } from './partitions.js';
import { HOLDS, RESIGN, TAKE } from './scripts/holds.js';
import type { RedisSettings } from './settings.js';
import { ScriptWindow, StepQueue, type Step } from './step-queue.js';

/** Most records of a partition that wait for a consumer; beyond it the oldest are dropped. */
const MAX_RECORDS = 20_000;
/** Most holders in one script: Redis does nothing else for less than a millisecond. */
const BATCH = 50;
/** Scripts that write holders at once on a single server. */
const LANES = 4;
/** Most things of a partition whose end one look finds; the next look finds the rest. */
const DUE_THINGS = 200;
/** After a look that failed, the holders have that part of a lease to renew before anything is ended: longer than a round of theirs. */
const RENEWAL_PART = 1 / 2;
/** The same where this node holds nothing itself, in milliseconds. */
const RENEWAL_MS = 15_000;
/** A partition is looked at by every look for that long after something was found in it, in milliseconds. */
const BUSY_MS = 60_000;
/** How long a node is a consumer after it last asked. */
const CONSUMER_MS = 5_000;
const MAX_LEASE_MS = 10 * 365 * 24 * 60 * 60_000;

/** What this node consumes of a partition. */
interface Consumed {
  /** The record after which it continues to read. */
  after: string;
  /** Records that were dealt with, and have to be deleted. */
  done: string[];
}

/** Transitions of all channels (G19): leases and graces run on the server's time, and the scripts that end them record that. */
export class RedisTransitions implements BrokerTransitions {
  /** By lane: many channels travel together. */
  private readonly steps: StepQueue<number>;
  private readonly consumed = new Map<number, Consumed>();
  private readonly node: string;
  private takes = false;
  private readonly rounds: PartitionRounds;
  private readonly damages: DamagedKeys;
  /** When something was last found in a partition. */
  private readonly foundAt = new Map<number, number>();
  /** When the last look at a partition failed. */
  private readonly failedAt = new Map<number, number>();
  /** When Redis was last found to be away, or to refuse renewals. */
  private awayAt = Number.NEGATIVE_INFINITY;
  private renewalMs = RENEWAL_MS;
  private working: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {
    // Not the name of the node: one that was restarted is another consumer.
    this.node = settings.entropy.token();
    this.rounds = new PartitionRounds(keys, commands);
    this.damages = new DamagedKeys(settings, 'Who holds a channel cannot be written', 'its holders');
    const window = new ScriptWindow();
    this.steps = new StepQueue(
      'holders',
      settings,
      (lane, batch) => window.run(() => this.write(lane, batch)),
      BATCH,
    );
  }

  async hold(holds: readonly Hold[], leaseMs: number): Promise<void> {
    this.renewalMs = leaseMs * RENEWAL_PART;
    await Promise.all(holds.map((hold) => this.step('h', hold, leaseMs)));
  }

  /** Redis is away, or refuses renewals. A look at what another node consumes does not find that. */
  noteAway(): void {
    this.awayAt = this.settings.clock.monotonic();
  }

  release(hold: Hold, graceMs: number): Promise<void> {
    return this.step('r', hold, graceMs);
  }

  /** One at a time: two would be handed the same. */
  take(limit: number): Promise<readonly Transition[]> {
    const taken = this.working.then(() => this.takeNow(limit));
    this.working = taken.catch(() => undefined);
    return taken;
  }

  async done(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const [partition = '', record = ''] = id.split('_');
      this.consumed.get(Number(partition))?.done.push(record);
    }
    const all = [...this.consumed].filter(([, { done }]) => done.length > 0);
    await Promise.all(all.map(([partition, consumed]) => this.delete(partition, consumed)));
  }

  /** Lets what waits be written, and another node consume at once. Never rejects. */
  async close(): Promise<void> {
    await this.working;
    await this.steps.settled();
    if (!this.takes) return;
    await Promise.allSettled(
      this.rounds.callsOf(this.consumed.keys()).map((partitions) =>
        this.commands.run(
          RESIGN,
          partitions[0] ?? 0,
          partitions.map((partition) => this.keys.transitions(partition)[2]),
          [this.node],
        ),
      ),
    );
  }

  private async takeNow(limit: number): Promise<readonly Transition[]> {
    this.takes = true;
    await this.done([]).catch(() => undefined);
    const out: Transition[] = [];
    const errors: unknown[] = [];
    for (const group of this.rounds.next()) {
      try {
        out.push(...(await this.takeOf(group, limit - out.length)));
      } catch (error) {
        const now = this.settings.clock.monotonic();
        for (const partition of group) this.failedAt.set(partition, now);
        errors.push(error);
      }
    }
    // What was taken of others is not handed over by another look.
    if (out.length === 0 && errors.length > 0) throw errors[0];
    return out;
  }

  private async takeOf(group: readonly number[], limit: number): Promise<readonly Transition[]> {
    const keys = group.flatMap((partition) => this.keys.transitions(partition));
    const after = group.map((partition) => this.consumed.get(partition)?.after ?? '-');
    const args = [this.node, CONSUMER_MS, Math.max(0, limit), this.mayEnd(group) ? DUE_THINGS : 0, ...after];
    const answer = (await this.commands.run(TAKE, group[0] ?? 0, keys, args)) as readonly (readonly [
      number,
      readonly string[],
      readonly string[],
    ])[];
    const out: Transition[] = [];
    const ended: Promise<void>[] = [];
    for (const [index, partition] of group.entries()) {
      const [state, due, records] = answer[index] ?? [0, [], []];
      if (Number(state) === 0) {
        this.consumed.delete(partition);
        continue;
      }
      const consumed = Number(state) === 1 ? this.consumed.get(partition) : undefined;
      const now = consumed ?? { after: '-', done: [] };
      this.consumed.set(partition, now);
      if (records.length > 0) this.rounds.beginAfter(partition);
      this.noteFound(partition, records.length + due.length > 0);
      for (let at = 0; at < records.length; at += 4) {
        const [record = '', thing = '', held, ts] = records.slice(at, at + 4);
        now.after = `(${record}`;
        out.push({
          ...readThing(thing),
          id: `${partition}_${record}`,
          held: held === '1',
          at: Number(ts),
        });
      }
      ended.push(...due.map((thing) => this.sweep(thing)));
    }
    // What cannot be ended now is found again.
    await Promise.allSettled(ended);
    return out;
  }

  /** Not soon after Redis was away or refused: nobody could renew, and all would end that nobody let go. */
  private mayEnd(group: readonly number[]): boolean {
    const failedAt = this.failedAt.get(group[0] ?? 0) ?? Number.NEGATIVE_INFINITY;
    return this.settings.clock.monotonic() - Math.max(failedAt, this.awayAt) >= this.renewalMs;
  }

  private sweep(thing: string): Promise<void> {
    return this.step('s', { ...readThing(thing), holder: '', generation: 0 }, 0);
  }

  private async delete(partition: number, consumed: Consumed): Promise<void> {
    const records = consumed.done.splice(0);
    const [, stream] = this.keys.transitions(partition);
    try {
      await this.commands.command(partition, 'xdel', [stream, ...records]);
    } catch (error) {
      consumed.done.unshift(...records);
      throw error;
    }
  }

  private noteFound(partition: number, found: boolean): void {
    const now = this.settings.clock.monotonic();
    if (found) this.foundAt.set(partition, now);
    const isBusy = now - (this.foundAt.get(partition) ?? Number.NEGATIVE_INFINITY) < BUSY_MS;
    if (!isBusy) this.foundAt.delete(partition);
    this.rounds.note(partition, isBusy);
  }

  private step(kind: 'h' | 'r' | 's', hold: Hold, ms: number): Promise<void> {
    const thing = thingName(hold);
    const [due, record] = this.keys.transitions(this.keys.partitionOf(hold.channel));
    const keys = [due, record, this.keys.holders(hold.channel, thing)];
    const time = Math.round(Math.min(Math.max(ms, 0), MAX_LEASE_MS));
    const args = [kind, thing, hold.holder, hold.generation, time];
    return this.steps.add(this.laneOf(hold.channel), keys, args);
  }

  /** A single server takes steps of any partitions in one call, in few lanes; of a Cluster each partition has its own. */
  private laneOf(channel: string): number {
    const partition = this.keys.partitionOf(channel);
    return this.commands.clustered ? partition : partition % LANES;
  }

  private async write(lane: number, batch: readonly Step[]): Promise<void> {
    const [dropped, ...refused] = (await this.commands.run(
      HOLDS,
      lane,
      batch.flatMap(({ keys }) => keys),
      [MAX_RECORDS, this.settings.headMs, batch.length, ...batch.flatMap(({ args }) => args)],
    )) as [number, ...(number | string)[]];
    for (let at = 0; at < refused.length; at += 2) {
      const error = new Error(String(refused[at + 1]));
      try {
        this.damages.skip(error);
      } catch {
        batch[Number(refused[at]) - 1]?.reject(commandError(error));
      }
    }
    if (Number(dropped) > 0)
      this.settings.onWarning(
        `${dropped} transitions were dropped: ${MAX_RECORDS} of a partition wait for a consumer already. ` +
          'Check that a node with hooks runs',
      );
  }
}
