import type { BrokerPresence, PresenceEntry } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { PresencePage } from '../../protocol/messages.js';
import { placeOf } from '../common/member-cursor.js';
import type { Leased } from '../machine/commands.js';
import { perform, STATE_PARTITION, type Write } from './commander.js';
import { LocalLeases } from './local-leases.js';
import type { Replica } from './replica.js';

/** What presence and holds need of their node. */
export interface LeaseSettings {
  readonly clock: Clock;
  /** Name of the node's lease: another one at each start. */
  readonly lease: string;
  /** How long the node's lease runs on after its last sign of life, in milliseconds. */
  readonly nodeTtlMs: number;
}

/** Membership (G19) over the log. */
export class ReplicatedPresence implements BrokerPresence {
  private readonly local = new LocalLeases<PresenceEntry>();

  constructor(
    private readonly write: Write,
    private readonly replica: Replica,
    private readonly settings: LeaseSettings,
  ) {}

  async enter(entry: PresenceEntry, leaseMs: number): Promise<void> {
    const { channel, device, generation, member } = entry;
    if (isKept(this.settings, leaseMs))
      this.local.put(keyOf(channel, member, device), entry, generation, leaseMs, this.time);
    await perform(this.write, STATE_PARTITION, { kind: 'enter', entry, ...this.leased(leaseMs) });
  }

  async update(entry: PresenceEntry): Promise<void> {
    await perform(this.write, STATE_PARTITION, { kind: 'update', entry });
  }

  async leave(entry: PresenceEntry, graceMs: number): Promise<void> {
    const { channel, device, generation, member } = entry;
    this.local.delete(keyOf(channel, member, device), generation);
    await perform(this.write, STATE_PARTITION, { kind: 'leave', entry, graceMs });
  }

  async renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    if (!isKept(this.settings, leaseMs)) return this.append(entries, leaseMs);
    const missing = entries.filter((entry) => {
      const key = keyOf(entry.channel, entry.member, entry.device);
      if (this.local.renew(key, entry.generation, leaseMs, this.time)) return false;
      this.local.put(key, entry, entry.generation, leaseMs, this.time);
      return true;
    });
    await this.append(missing, leaseMs);
  }

  async members(
    channel: string,
    { cursor, limit }: { readonly cursor?: string; readonly limit: number },
  ): Promise<PresencePage> {
    const after = placeOf(cursor);
    await this.replica.caughtUp();
    return this.replica.partition.machine.members(channel, after, limit);
  }

  /** Another node has ended the device, or has it now. */
  forget({ channel, device, generation, member }: PresenceEntry): void {
    this.local.delete(keyOf(channel, member, device), generation);
  }

  /** Ends what the engine did not renew. */
  expire(): void {
    for (const entry of this.local.take(this.time))
      this.write(STATE_PARTITION, { kind: 'leave', entry, graceMs: 0 }, () => undefined);
  }

  /** The log does not have what this node entered, or no longer keeps it: enters all of it. */
  restore(): void {
    const byLease = new Map<number, PresenceEntry[]>();
    for (const { value, leaseMs } of this.local.all()) {
      const entries = byLease.get(leaseMs) ?? [];
      entries.push(value);
      byLease.set(leaseMs, entries);
    }
    for (const [leaseMs, entries] of byLease) this.append(entries, leaseMs).catch(() => undefined);
  }

  private async append(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    const parts: Promise<unknown>[] = [];
    for (let at = 0; at < entries.length; at += ENTRIES) {
      const command = {
        kind: 'renew',
        entries: entries.slice(at, at + ENTRIES),
        ...this.leased(leaseMs),
      } as const;
      parts.push(perform(this.write, STATE_PARTITION, command));
    }
    await Promise.all(parts);
  }

  private leased(leaseMs: number): Leased {
    return leasedBy(this.settings, leaseMs);
  }

  private get time(): number {
    return this.settings.clock.monotonic();
  }
}

/** Most members in one command: data of members is up to some kilobytes. */
const ENTRIES = 50;

/** Whether the node's own lease keeps what has this lease. A shorter one ends by itself, and is renewed in the log. */
export function isKept({ nodeTtlMs }: LeaseSettings, leaseMs: number): boolean {
  return leaseMs >= nodeTtlMs;
}

/** With the lease of the node the rest of the time that was asked for: otherwise what a dead node kept would last for both. */
export function leasedBy(settings: LeaseSettings, leaseMs: number): Leased {
  if (!isKept(settings, leaseMs)) return { leaseMs };
  return { leaseMs: leaseMs - settings.nodeTtlMs, node: settings.lease };
}

function keyOf(channel: string, member: string, device: string): string {
  return JSON.stringify([channel, member, device]);
}
