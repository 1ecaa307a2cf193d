import type { BrokerPresence, PresenceEntry } from '../../core/ports/broker.js';
import type { Scheduled } from '../../core/ports/clock.js';
import type { PresencePage } from '../../protocol/messages.js';
import { placeOf } from '../common/member-cursor.js';
import { fitting } from './batch.js';
import { bytesOf, type RedisArgument, type RedisCommands, type ScriptCall } from './connection/commands.js';
import { unavailable } from './errors.js';
import type { RedisKeys } from './keys.js';
import { DUE } from './scripts/due.js';
import { MEMBERS } from './scripts/members.js';
import { PRESENCE } from './scripts/presence.js';
import type { RedisSettings } from './settings.js';
import { decodeMember, encodeData } from './wire.js';

const MAX_PAGE = 1_000;
/** Most channels of a partition that one look for ended leases finds; the next look finds the rest. */
const DUE_CHANNELS = 50;
/** Most milliseconds of a lease: scores of sorted sets are exact well beyond it. */
const MAX_LEASE_MS = 10 * 365 * 24 * 60 * 60_000;

interface PresenceStep {
  readonly args: readonly RedisArgument[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Membership (G19), kept by scripts; leases and graces run on the server's time. */
export class RedisPresence implements BrokerPresence {
  /** Steps that wait, by channel: one call at a time, and what waits travels together and becomes one diff. */
  private readonly waiting = new Map<string, PresenceStep[]>();
  private queued = 0;
  private queuedBytes = 0;
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  /**
   * Begins to end the leases of nodes that died, and graces that ran out. Every node looks for them; the script that ends a
   * lease removes it, so each ends once.
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

  enter(entry: PresenceEntry, leaseMs: number): Promise<void> {
    return this.step('e', entry, leaseMs);
  }

  update(entry: PresenceEntry): Promise<void> {
    return this.step('u', entry, 0);
  }

  leave(entry: PresenceEntry, graceMs: number): Promise<void> {
    return this.step('l', entry, graceMs);
  }

  async renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    await Promise.all(entries.map((entry) => this.step('r', entry, leaseMs)));
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

  /** Adds one step as the script takes it. A device's name is made unique by its member's; the length keeps pairs apart. */
  private step(
    kind: 'e' | 'r' | 'u' | 'l',
    { channel, member, device, generation, data }: PresenceEntry,
    ms: number,
  ): Promise<void> {
    const args = [
      kind,
      member,
      `${member.length}:${member}${device}`,
      generation,
      // `update` replaces the data whatever it is; the others only when there is some.
      kind === 'u' || data !== undefined ? 1 : 0,
      encodeData(data),
      Math.round(Math.min(Math.max(ms, 0), MAX_LEASE_MS)),
    ];
    const bytes = bytesOf(args);
    const { maxQueued, maxQueuedBytes } = this.settings;
    if (this.queued >= maxQueued || (this.queued > 0 && this.queuedBytes + bytes > maxQueuedBytes))
      return Promise.reject(unavailable(`${this.queued} changes of members wait for Redis already`));
    this.queued += 1;
    this.queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      const step = { args, bytes, resolve, reject };
      const waiting = this.waiting.get(channel);
      if (waiting !== undefined) {
        waiting.push(step);
        return;
      }
      const steps = [step];
      this.waiting.set(channel, steps);
      setImmediate(() => void this.work(channel, steps));
    });
  }

  private async work(channel: string, steps: PresenceStep[]): Promise<void> {
    while (steps.length > 0) {
      const batch = steps.splice(0, fitting(steps, this.settings.maxBatchBytes));
      this.queued -= batch.length;
      for (const { bytes } of batch) this.queuedBytes -= bytes;
      try {
        await this.change(channel, [batch.length, ...batch.flatMap(({ args }) => args)]);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.waiting.delete(channel);
  }

  private async sweep(): Promise<void> {
    const all = Array.from({ length: this.keys.partitions }, (_, partition) => partition);
    const groups = this.commands.clustered ? all.map((partition) => [partition]) : [all];
    await Promise.allSettled(groups.map((group) => this.endDue(group)));
  }

  private async endDue(partitions: readonly number[]): Promise<void> {
    const keys = partitions.map((partition) => this.keys.due(partition));
    const found = (await this.commands.run(DUE, partitions[0] ?? 0, keys, [
      DUE_CHANNELS,
    ])) as readonly unknown[];
    for (let at = 1; at < found.length && !this.closed; at += 2) await this.change(String(found[at]), [0]);
  }

  private change(channel: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.commands.run(...this.callOf(PRESENCE, channel, args));
  }

  private callOf(script: typeof PRESENCE, channel: string, args: readonly RedisArgument[]): ScriptCall {
    const { epochs, headMs } = this.settings;
    const all = [epochs.next(), headMs, channel, ...args];
    return [script, this.keys.partitionOf(channel), this.keys.room(channel), all];
  }
}
