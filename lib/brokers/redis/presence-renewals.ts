import type { PresenceEntry } from '../../core/ports/broker.js';
import { bytesOf, type RedisArgument, type RedisCommands } from './connection/commands.js';
import { groupBy } from './group-by.js';
import type { RedisKeys } from './keys.js';
import { RENEW } from './scripts/renew.js';
import type { RedisSettings } from './settings.js';
import { fitting, ScriptWindow } from './step-queue.js';

/** Keys of a room that are its own. */
const OWN_KEYS = 5;

interface Renewal {
  readonly entry: PresenceEntry;
  readonly keys: readonly string[];
  readonly args: readonly RedisArgument[];
  readonly bytes: number;
}

/**
 * Renews the leases of many members, of many rooms of a partition in one script. Few scripts are under way at once, beside what is
 * published; what is renewed waits at its caller, who renews the next after the answer.
 */
export class PresenceRenewals {
  private readonly window = new ScriptWindow();
  private underWay = 0;
  /** Who left while renewals were under way: they must not enter again by a renewal that comes after it. */
  private readonly left = new Set<string>();

  /** @param enterAgain for those that are not there any more, in turn with the other changes of their room. */
  constructor(
    private readonly commands: Pick<RedisCommands, 'run'>,
    private readonly keys: RedisKeys,
    private readonly settings: Pick<RedisSettings, 'headMs' | 'maxBatchBytes'>,
    private readonly enterAgain: (entry: PresenceEntry, leaseMs: number) => Promise<void>,
  ) {}

  entered(entry: PresenceEntry): void {
    this.left.delete(nameOf(entry));
  }

  leaves(entry: PresenceEntry): void {
    if (this.underWay > 0) this.left.add(nameOf(entry));
  }

  /** Rejects, after all are dealt with, where some were not renewed. */
  async renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    this.underWay += 1;
    const partitions = groupBy(entries, ({ channel }) => this.keys.partitionOf(channel));
    try {
      await all([...partitions].map(([partition, some]) => this.renewIn(partition, some, leaseMs)));
    } finally {
      this.underWay -= 1;
      if (this.underWay === 0) this.left.clear();
    }
  }

  private async renewIn(
    partition: number,
    entries: readonly PresenceEntry[],
    leaseMs: number,
  ): Promise<void> {
    const byRoom = [...groupBy(entries, ({ channel }) => channel).values()].flat();
    const waiting = byRoom.map((entry) => this.renewalOf(entry));
    const calls: Promise<void>[] = [];
    while (waiting.length > 0) {
      const batch = waiting.splice(0, fitting(waiting, this.settings.maxBatchBytes));
      calls.push(this.window.run(() => this.send(partition, batch, leaseMs)));
    }
    await all(calls);
  }

  private renewalOf(entry: PresenceEntry): Renewal {
    const keys = this.keys.room(entry.channel).slice(0, OWN_KEYS);
    const args = [deviceName(entry), entry.generation];
    return { entry, keys, args, bytes: bytesOf([...keys, entry.channel, ...args]) };
  }

  private async send(partition: number, batch: readonly Renewal[], leaseMs: number): Promise<void> {
    const here = batch.filter(({ entry }) => !this.left.has(nameOf(entry)));
    if (here.length === 0) return;
    const rooms = [...groupBy(here, ({ entry }) => entry.channel)];
    const keys = rooms.flatMap(([, [first]]) => first?.keys ?? []);
    const args = rooms.flatMap(([channel, some]) => [
      channel,
      some.length,
      ...some.flatMap((one) => one.args),
    ]);
    const again = (await this.commands.run(
      RENEW,
      partition,
      [this.keys.due(partition), ...keys],
      [this.settings.headMs, leaseMs, rooms.length, ...args],
    )) as readonly number[];
    const gone = again.flatMap((number) => here[Number(number) - 1]?.entry ?? []);
    await all(
      gone.filter((entry) => !this.left.has(nameOf(entry))).map((entry) => this.enterAgain(entry, leaseMs)),
    );
  }
}

/** A device's name is made unique by its member's; the length keeps pairs apart. */
export function deviceName({ member, device }: Pick<PresenceEntry, 'member' | 'device'>): string {
  return `${member.length}:${member}${device}`;
}

function nameOf(entry: PresenceEntry): string {
  return `${entry.channel}\n${deviceName(entry)}`;
}

/** Waits for all of them, also where some reject. */
async function all(calls: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(calls)) if (result.status === 'rejected') throw result.reason;
}
