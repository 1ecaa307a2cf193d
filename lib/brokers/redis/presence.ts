import type { BrokerPresence, PresenceEntry } from '../../core/ports/broker.js';
import type { Scheduled } from '../../core/ports/clock.js';
import type { PresencePage } from '../../protocol/messages.js';
import { placeOf } from '../common/member-cursor.js';
import type { RedisArgument, RedisCommands, ScriptCall } from './connection/commands.js';
import { DamagedKeys } from './damaged-keys.js';
import { refusesRenewals } from './errors.js';
import type { RedisKeys } from './keys.js';
import { PartitionRounds } from './partitions.js';
import { deviceName, PresenceRenewals } from './presence-renewals.js';
import { DUE } from './scripts/due.js';
import { MEMBERS } from './scripts/members.js';
import { PRESENCE } from './scripts/presence.js';
import type { RedisSettings } from './settings.js';
import { StepQueue } from './step-queue.js';
import { decodeMember, encodeData } from './wire.js';

const MAX_PAGE = 1_000;
/** Most channels of a partition that one look for ended leases finds; the next look finds the rest. */
const DUE_CHANNELS = 50;
/** Most milliseconds of a lease: scores of sorted sets are exact well beyond it. */
const MAX_LEASE_MS = 10 * 365 * 24 * 60 * 60_000;

/**
 * How many nodes look for ended leases. The first by name does so each time, each further one half as often as the one before it:
 * when one is killed, the next finds what it left soon, long before its heartbeats count as ended.
 */
const SWEEPERS = 4;
/** Nothing ends for that part of a lease after Redis was away: longer than the other nodes take to renew all. */
const RENEWAL_PART = 1 / 2;
/** The same where this node has no members, in milliseconds. */
const RENEWAL_MS = 15_000;

/** Membership (G19), kept by scripts; leases and graces run on the server's time. */
export class RedisPresence implements BrokerPresence {
  /** By channel: what waits travels together and becomes one diff. */
  private readonly steps: StepQueue<string>;
  private readonly renewals: PresenceRenewals;
  private readonly rounds: PartitionRounds;
  private readonly damages: DamagedKeys;
  private timer: Scheduled | undefined;
  private closed = false;
  private looks = 0;
  private renewalMs = RENEWAL_MS;
  /** When Redis was last found to be away, or to refuse writes. */
  private awayAt = Number.NEGATIVE_INFINITY;
  /** How many of the nodes that live have names before this one's. */
  private rank = 0;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {
    this.steps = new StepQueue('members', settings, async (channel, batch) => {
      await this.change(channel, [batch.length, ...batch.flatMap(({ args }) => args)]);
    });
    this.rounds = new PartitionRounds(keys, commands);
    this.damages = new DamagedKeys(
      settings,
      'Members of a room cannot be renewed or ended',
      'the keys of its presence',
    );
    this.renewals = new PresenceRenewals(commands, keys, settings, {
      enterAgain: (entry, leaseMs) => this.step('r', entry, leaseMs),
      onDamaged: (error) => this.damages.skip(error),
    });
  }

  /**
   * Begins to end the leases of nodes that died, and graces that ran out, as one of few nodes. The script that ends a lease removes
   * it, so each ends once.
   */
  start(): void {
    const { clock, sweepMs, entropy } = this.settings;
    if (this.closed) return;
    this.timer = clock.schedule(sweepMs * (0.75 + entropy.random() / 4), () => {
      void this.sweep().finally(() => this.start());
    });
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  /** @param rank how many of the nodes that live have names before this one's. */
  noteRank(rank: number): void {
    this.rank = rank;
  }

  /** Redis is away, or refuses writes: nobody can renew. */
  noteAway(): void {
    this.awayAt = this.settings.clock.monotonic();
  }

  enter(entry: PresenceEntry, leaseMs: number): Promise<void> {
    this.renewals.entered(entry);
    return this.step('e', entry, leaseMs);
  }

  update(entry: PresenceEntry): Promise<void> {
    return this.step('u', entry, 0);
  }

  leave(entry: PresenceEntry, graceMs: number): Promise<void> {
    this.renewals.leaves(entry);
    return this.step('l', entry, graceMs);
  }

  renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    this.renewalMs = leaseMs * RENEWAL_PART;
    return this.renewals.renew(entries, lease(leaseMs));
  }

  async members(
    channel: string,
    { cursor, limit }: { readonly cursor?: string; readonly limit: number },
  ): Promise<PresencePage> {
    const after = placeOf(cursor);
    const most = Math.min(Math.max(1, Math.floor(limit)), MAX_PAGE);
    const { maxReadBytes } = this.settings;
    const reply = (await this.commands.read(
      ...this.callOf(MEMBERS, channel, [after, most, maxReadBytes]),
    )) as readonly (string | number)[];
    const members = [];
    for (let at = 4; at < reply.length; at += 3)
      members.push(decodeMember(String(reply[at]), Number(reply[at + 1]), String(reply[at + 2])));
    const more = String(reply[3]);
    return {
      epoch: String(reply[0]),
      version: Number(reply[1]),
      members,
      count: Number(reply[2]),
      ...(more === '' ? {} : { more }),
    };
  }

  /** Adds one step as the script takes it. */
  private step(kind: 'e' | 'r' | 'u' | 'l', entry: PresenceEntry, ms: number): Promise<void> {
    const { channel, member, generation, data } = entry;
    return this.steps.add(
      channel,
      [],
      [
        kind,
        member,
        deviceName(entry),
        generation,
        // `update` replaces the data whatever it is; the others only when there is some.
        kind === 'u' || data !== undefined ? 1 : 0,
        encodeData(data),
        lease(ms),
      ],
    );
  }

  /** Not soon after Redis was away: all would end whom nobody could renew. */
  private mayEnd(): boolean {
    // Another server of a Cluster than the one that takes the heartbeats.
    if (refusesRenewals(this.commands.refusedAs)) this.noteAway();
    return this.settings.clock.monotonic() - this.awayAt >= this.renewalMs;
  }

  private async sweep(): Promise<void> {
    this.looks += 1;
    if (!this.mayEnd() || this.rank >= SWEEPERS || this.looks % 2 ** this.rank !== 0) return;
    await Promise.allSettled(this.rounds.next().map((partitions) => this.endDue(partitions)));
  }

  private async endDue(partitions: readonly number[]): Promise<void> {
    const keys = partitions.map((partition) => this.keys.due(partition));
    const [due, channels] = (await this.commands.run(DUE, partitions[0] ?? 0, keys, [
      DUE_CHANNELS,
    ])) as readonly [readonly number[], readonly string[]];
    for (const [index, partition] of partitions.entries())
      this.rounds.note(partition, Number(due[index]) === 1);
    for (const channel of channels) {
      if (this.closed) return;
      await this.change(channel, [0]).catch((error: unknown) => this.damages.skip(error));
    }
  }

  private change(channel: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.commands.run(...this.callOf(PRESENCE, channel, args));
  }

  private callOf(script: typeof PRESENCE, channel: string, args: readonly RedisArgument[]): ScriptCall {
    const { epochs, headMs } = this.settings;
    const all = [epochs.next(), headMs, channel, this.mayEnd() ? 1 : 0, ...args];
    return [script, this.keys.partitionOf(channel), this.keys.room(channel), all];
  }
}

function lease(ms: number): number {
  return Math.round(Math.min(Math.max(ms, 0), MAX_LEASE_MS));
}
