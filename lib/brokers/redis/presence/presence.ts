import type { BrokerPresence, PresenceEntry } from '../../../core/ports/broker.js';
import type { PresencePage } from '../../../protocol/messages.js';
import type { RedisArgument, RedisCommands } from '../connection/commands.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import { decodeMember } from '../wire.js';
import { MEMBERS, PRESENCE } from '../scripts/index.js';
import { presenceStep } from './steps.js';

/** Most steps in one script call. */
const BATCH = 200;
const MAX_PAGE = 1_000;

interface Step {
  readonly args: readonly RedisArgument[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Steps for one channel: in order, one call at a time, what waits travels together and becomes one diff. */
interface Lane {
  steps: Step[];
  busy: boolean;
}

/** Membership (G19), kept by scripts; leases and graces run on the server's time. */
export class RedisPresence implements BrokerPresence {
  private readonly lanes = new Map<string, Lane>();

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  enter(entry: PresenceEntry, leaseMs: number): Promise<void> {
    return this.step(entry.channel, presenceStep('e', entry, leaseMs));
  }

  update(entry: PresenceEntry): Promise<void> {
    return this.step(entry.channel, presenceStep('u', entry, 0));
  }

  leave(entry: PresenceEntry, graceMs: number): Promise<void> {
    return this.step(entry.channel, presenceStep('l', entry, graceMs));
  }

  async renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    await Promise.all(entries.map((entry) => this.step(entry.channel, presenceStep('r', entry, leaseMs))));
  }

  async members(
    channel: string,
    page: { readonly cursor?: string; readonly limit: number },
  ): Promise<PresencePage> {
    // The cursor comes from a client: anything but one of ours begins at the start.
    const { cursor } = page;
    const after = cursor !== undefined && /^\d{1,15}$/.test(cursor) ? cursor : '0';
    const reply = (await this.run(MEMBERS, channel, [
      after,
      Math.min(Math.max(1, Math.floor(page.limit)), MAX_PAGE),
    ])) as readonly (string | number)[];
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

  /** Ends what is past its time in one channel. */
  async expire(channel: string): Promise<void> {
    await this.run(PRESENCE, channel, [0]);
  }

  private step(channel: string, args: readonly RedisArgument[]): Promise<void> {
    return new Promise((resolve, reject) => {
      let lane = this.lanes.get(channel);
      if (lane === undefined) {
        lane = { steps: [], busy: false };
        this.lanes.set(channel, lane);
      }
      lane.steps.push({ args, resolve, reject });
      if (lane.busy) return;
      lane.busy = true;
      const open = lane;
      setImmediate(() => void this.work(channel, open));
    });
  }

  private async work(channel: string, lane: Lane): Promise<void> {
    while (lane.steps.length > 0) {
      const batch = lane.steps.splice(0, BATCH);
      try {
        await this.run(PRESENCE, channel, [batch.length, ...batch.flatMap(({ args }) => args)]);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.lanes.delete(channel);
  }

  private run(script: typeof PRESENCE, channel: string, args: readonly RedisArgument[]): Promise<unknown> {
    const { epochs, headMs } = this.settings;
    return this.commands.run(script, this.keys.partitionOf(channel), this.keys.room(channel), [
      epochs.next(),
      headMs,
      channel,
      ...args,
    ]);
  }
}
