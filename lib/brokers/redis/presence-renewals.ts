import type { PresenceEntry } from '../../core/ports/broker.js';
import type { RedisCommands } from './connection/commands.js';
import { groupBy } from './group-by.js';
import type { RedisKeys } from './keys.js';
import { RENEW } from './scripts/renew.js';
import type { RedisSettings } from './settings.js';
import { fitting, ScriptWindow } from './step-queue.js';

/** Keys of a room that its renewal needs: its own, and where its partition finds what ends. */
const KEYS_OF_ROOM = 6;
/** Most members in one script: Redis does nothing else for less than a millisecond. */
const BATCH = 50;
/** What the names of its keys take for a member, beside its channel. */
const KEY_BYTES = 32;

interface Renewal {
  readonly entry: PresenceEntry;
  readonly device: string;
  /** About as many as are sent. */
  readonly bytes: number;
}

/** What the renewals tell their owner. */
export interface RenewalEvents {
  /** A member is not there any more: it has to enter again, in turn with the other changes of its room. */
  enterAgain(entry: PresenceEntry, leaseMs: number): Promise<void>;
  /** The keys of a room are damaged. @throws the error, where it says something else. */
  onDamaged(error: unknown): void;
}

/**
 * Renews the leases of many members, of many rooms in one script. Few scripts are under way at once, beside what is published; what
 * is renewed waits at its caller, who renews the next after the answer. A room whose keys are damaged keeps no other one from it.
 */
export class PresenceRenewals {
  private readonly window = new ScriptWindow();
  private underWay = 0;
  /** Who left while renewals were under way: they must not enter again by a renewal that comes after it. */
  private readonly left = new Set<string>();

  constructor(
    private readonly commands: Pick<RedisCommands, 'clustered' | 'run'>,
    private readonly keys: RedisKeys,
    private readonly settings: Pick<RedisSettings, 'headMs' | 'maxBatchBytes'>,
    private readonly events: RenewalEvents,
  ) {}

  entered(entry: PresenceEntry): void {
    this.left.delete(nameOf(entry));
  }

  leaves(entry: PresenceEntry): void {
    if (this.underWay > 0) this.left.add(nameOf(entry));
  }

  /** Rejects, after all are dealt with, where some were not renewed; not for rooms that are damaged. */
  async renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    this.underWay += 1;
    const { clustered } = this.commands;
    const calls = groupBy(entries, ({ channel }) => (clustered ? this.keys.partitionOf(channel) : 0));
    try {
      await all([...calls].map(([partition, some]) => this.renewIn(partition, some, leaseMs)));
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
    const waiting = byRoom.map((entry) => renewalOf(entry));
    const calls: Promise<void>[] = [];
    while (waiting.length > 0) {
      const batch = waiting.splice(0, fitting(waiting, this.settings.maxBatchBytes, BATCH));
      calls.push(this.window.run(() => this.send(partition, batch, leaseMs)));
    }
    await all(calls);
  }

  private async send(partition: number, batch: readonly Renewal[], leaseMs: number): Promise<void> {
    const here = batch.filter(({ entry }) => !this.left.has(nameOf(entry)));
    if (here.length === 0) return;
    const rooms = [...groupBy(here, ({ entry }) => entry.channel)];
    const keys = rooms.flatMap(([channel]) => this.keys.room(channel).slice(0, KEYS_OF_ROOM));
    const args = rooms.flatMap(([channel, some]) => [
      channel,
      some.length,
      ...some.flatMap(({ entry, device }) => [device, entry.generation]),
    ]);
    const [again, damages] = (await this.commands.run(RENEW, partition, keys, [
      this.settings.headMs,
      leaseMs,
      rooms.length,
      ...args,
    ])) as readonly [readonly number[], readonly string[]];
    for (const damage of damages) this.events.onDamaged(new Error(damage));
    const gone = again.flatMap((number) => here[Number(number) - 1]?.entry ?? []);
    await all(gone.map((entry) => this.enterAgain(entry, leaseMs)));
  }

  private async enterAgain(entry: PresenceEntry, leaseMs: number): Promise<void> {
    if (this.left.has(nameOf(entry))) return;
    try {
      await this.events.enterAgain(entry, leaseMs);
    } catch (error) {
      this.events.onDamaged(error);
    }
  }
}

function renewalOf(entry: PresenceEntry): Renewal {
  const device = deviceName(entry);
  return {
    entry,
    device,
    bytes: KEYS_OF_ROOM * (entry.channel.length + KEY_BYTES) + Buffer.byteLength(device),
  };
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
