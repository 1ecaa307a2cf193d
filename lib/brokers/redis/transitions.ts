import type { BrokerTransitions, Hold, Transition } from '../../core/ports/transitions.js';
import { readThing, thingName } from '../common/thing-name.js';
import type { RedisCommands } from './connection/commands.js';
import { commandError } from './errors.js';
import type { RedisKeys } from './keys.js';
import { HOLDS, RESIGN, TAKE } from './scripts/holds.js';
import type { RedisSettings } from './settings.js';
import { ScriptWindow, StepQueue, type Step } from './step-queue.js';

/** Most records of a partition that wait for a consumer; beyond it the oldest are dropped. */
const MAX_RECORDS = 20_000;
/** Most things of a partition whose end one look finds; the next look finds the rest. */
const DUE_THINGS = 200;
/** After a look that failed, the holders have that part of a lease to renew before anything is ended: longer than a round of theirs. */
const RENEWAL_PART = 1 / 2;
/** The same where this node holds nothing itself, in milliseconds. */
const RENEWAL_MS = 15_000;
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
  /** By partition: many channels travel together. */
  private readonly steps: StepQueue<number>;
  private readonly consumed = new Map<number, Consumed>();
  private readonly node: string;
  private takes = false;
  /** The partition with which the next look begins: those that are behind a full one are not left without room. */
  private first = 0;
  /** When the last look at a partition failed. */
  private readonly failedAt = new Map<number, number>();
  private renewalMs = RENEWAL_MS;
  private working: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {
    // Not the name of the node: one that was restarted is another consumer.
    this.node = settings.entropy.token();
    const window = new ScriptWindow();
    this.steps = new StepQueue('holders', settings, (partition, batch) =>
      window.run(() => this.write(partition, batch)),
    );
  }

  async hold(holds: readonly Hold[], leaseMs: number): Promise<void> {
    this.renewalMs = leaseMs * RENEWAL_PART;
    await Promise.all(holds.map((hold) => this.step('h', hold, leaseMs)));
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
      this.groups().map((group) =>
        this.commands.run(
          RESIGN,
          group[0] ?? 0,
          group.map((partition) => this.keys.transitions(partition)[2]),
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
    for (const group of this.groups()) {
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
      if (records.length > 0) this.first = (partition + 1) % this.keys.partitions;
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
    const failedAt = this.failedAt.get(group[0] ?? 0);
    return failedAt === undefined || this.settings.clock.monotonic() - failedAt >= this.renewalMs;
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

  private groups(): readonly (readonly number[])[] {
    const { partitions } = this.keys;
    const all = Array.from({ length: partitions }, (_, index) => (this.first + index) % partitions);
    return this.commands.clustered ? all.map((partition) => [partition]) : [all];
  }

  private step(kind: 'h' | 'r' | 's', hold: Hold, ms: number): Promise<void> {
    const thing = thingName(hold);
    const key = this.keys.holders(hold.channel, thing);
    const time = Math.round(Math.min(Math.max(ms, 0), MAX_LEASE_MS));
    const args = [kind, thing, hold.holder, hold.generation, time];
    return this.steps.add(this.keys.partitionOf(hold.channel), key, args);
  }

  private async write(partition: number, batch: readonly Step[]): Promise<void> {
    const [due, record] = this.keys.transitions(partition);
    const [, dropped, error, ...refused] = (await this.commands.run(
      HOLDS,
      partition,
      [due, record, ...batch.map(({ key }) => key)],
      [MAX_RECORDS, this.settings.headMs, batch.length, ...batch.flatMap(({ args }) => args)],
    )) as [number, number, string?, ...number[]];
    for (const index of refused) batch[Number(index) - 1]?.reject(commandError(new Error(error)));
    if (Number(dropped) > 0)
      this.settings.onWarning(
        `${dropped} transitions were dropped: ${MAX_RECORDS} of a partition wait for a consumer already. ` +
          'Check that a node with hooks runs',
      );
  }
}
