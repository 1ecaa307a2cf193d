import type { BrokerPresence, PresenceEntry } from '../../core/ports/broker.js';
import type { Scheduled } from '../../core/ports/clock.js';
import type { PresencePage } from '../../protocol/messages.js';
import { placeOf } from '../common/member-cursor.js';
import type { RedisArgument, RedisCommands, ScriptCall } from './connection/commands.js';
import { commandError } from './errors.js';
import type { RedisKeys } from './keys.js';
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

/** Errors of a script that met keys of another type or form. */
const DAMAGED = /\b(?:WRONGTYPE|ERR)\b/;
/** How often that is warned of, in milliseconds. */
const WARN_EVERY_MS = 60_000;

/** Membership (G19), kept by scripts; leases and graces run on the server's time. */
export class RedisPresence implements BrokerPresence {
  /** By channel: what waits travels together and becomes one diff. */
  private readonly steps: StepQueue<string>;
  private readonly renewals: PresenceRenewals;
  private timer: Scheduled | undefined;
  private closed = false;
  private looks = 0;
  private renewalMs = RENEWAL_MS;
  /** When Redis was last found to be away, or to refuse writes. */
  private awayAt = Number.NEGATIVE_INFINITY;
  /** When a damaged room was last warned of. */
  private warnedAt = Number.NEGATIVE_INFINITY;
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
    this.renewals = new PresenceRenewals(commands, keys, settings, (entry, leaseMs) =>
      this.step('r', entry, leaseMs),
    );
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
    return this.steps.add(channel, '', [
      kind,
      member,
      deviceName(entry),
      generation,
      // `update` replaces the data whatever it is; the others only when there is some.
      kind === 'u' || data !== undefined ? 1 : 0,
      encodeData(data),
      lease(ms),
    ]);
  }

  /** Not soon after Redis was away: all would end whom nobody could renew. */
  private get mayEnd(): boolean {
    return this.settings.clock.monotonic() - this.awayAt >= this.renewalMs;
  }

  private async sweep(): Promise<void> {
    this.looks += 1;
    if (!this.mayEnd || this.rank >= SWEEPERS || this.looks % 2 ** this.rank !== 0) return;
    const all = Array.from({ length: this.keys.partitions }, (_, partition) => partition);
    const groups = this.commands.clustered ? all.map((partition) => [partition]) : [all];
    await Promise.allSettled(groups.map((group) => this.endDue(group)));
  }

  private async endDue(partitions: readonly number[]): Promise<void> {
    const keys = partitions.map((partition) => this.keys.due(partition));
    const found = (await this.commands.run(DUE, partitions[0] ?? 0, keys, [
      DUE_CHANNELS,
    ])) as readonly unknown[];
    for (let at = 1; at < found.length && !this.closed; at += 2)
      await this.change(String(found[at]), [0]).catch((error: unknown) => this.skipDamaged(error));
  }

  /** What is wrong with one room is not the fault of those behind it. What the server refuses, it refuses all of them. */
  private skipDamaged(error: unknown): void {
    const { message } = commandError(error);
    if (!DAMAGED.test(message)) throw error;
    const now = this.settings.clock.monotonic();
    if (now - this.warnedAt < WARN_EVERY_MS) return;
    this.warnedAt = now;
    this.settings.onWarning(
      `Members of a room cannot be ended, as its keys are not what this version writes: ${message}. Remove the keys of its presence`,
    );
  }

  private change(channel: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.commands.run(...this.callOf(PRESENCE, channel, args));
  }

  private callOf(script: typeof PRESENCE, channel: string, args: readonly RedisArgument[]): ScriptCall {
    const { epochs, headMs } = this.settings;
    const all = [epochs.next(), headMs, channel, this.mayEnd ? 1 : 0, ...args];
    return [script, this.keys.partitionOf(channel), this.keys.room(channel), all];
  }
}

function lease(ms: number): number {
  return Math.round(Math.min(Math.max(ms, 0), MAX_LEASE_MS));
}
