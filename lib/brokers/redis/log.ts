import type { ReadRequest, ReadResult } from '../../core/ports/broker.js';
import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { Position } from '../../protocol/position.js';
import type { RedisCommands } from './connection/commands.js';
import { unavailable } from './errors.js';
import type { RedisKeys } from './keys.js';
import type { RedisSettings } from './settings.js';
import { decodeRecord } from './wire.js';
import { READ, TIPS } from './scripts/index.js';

/** Most channels in one script call. */
const TIPS_BATCH = 100;
/** Most events that a read answers with, whatever it asks for (G8). */
const MAX_READ = 1_000;

interface TipWaiter {
  readonly channel: string;
  readonly resolve: (tip: Position) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads of logs and their tips. */
export class RedisLog {
  private waiting: TipWaiter[] = [];

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  async read({ channel, epoch, from, until, limit, reverse }: ReadRequest): Promise<ReadResult> {
    const { headMs, maxReadBytes, epochs } = this.settings;
    const most = Math.min(limit, MAX_READ);
    const reply = (await this.commands.run(
      READ,
      this.keys.partitionOf(channel),
      [this.keys.head(channel), this.keys.stream(channel)],
      [epochs.next(), headMs, epoch ?? '', from, until ?? '', most, reverse === true ? 1 : 0, maxReadBytes],
    )) as readonly (string | number)[];
    const tip: Position = { epoch: String(reply[0]), seq: Number(reply[1]) };
    const oldest = Number(reply[3]);
    const [low, high] = [Math.max(from, oldest), Math.min(until ?? tip.seq, tip.seq)];
    const events: ChannelEvent[] = [];
    for (let at = 4; at < reply.length; at += 3) {
      const [first, ts, text] = [Number(reply[at]), Number(reply[at + 1]), String(reply[at + 2])];
      const record = decodeRecord(text, channel, tip.epoch, first, ts);
      // A record may begin before what was asked for, and end behind it.
      const wanted = record.slice(Math.max(0, low - first), Math.max(0, high - first + 1));
      events.push(...(reverse === true ? wanted.reverse() : wanted));
    }
    return { tip, continuous: reply[2] === 1, oldest, events: events.slice(0, most) };
  }

  /** Tips in the order asked, by as few calls as the layout allows. */
  async tips(channels: readonly string[]): Promise<readonly Position[]> {
    const tips: Position[] = [];
    const groups = new Map<number, number[]>();
    channels.forEach((channel, index) => {
      const partition = this.commands.clustered ? this.keys.partitionOf(channel) : 0;
      const group = groups.get(partition);
      if (group === undefined) groups.set(partition, [index]);
      else group.push(index);
    });
    const calls: Promise<void>[] = [];
    for (const [partition, group] of groups) {
      for (let start = 0; start < group.length; start += TIPS_BATCH)
        calls.push(this.ask(partition, group.slice(start, start + TIPS_BATCH), channels, tips));
    }
    await Promise.all(calls);
    return tips;
  }

  /** Like `tips`, together with all who ask in the same turn. */
  tip(channel: string): Promise<Position> {
    return new Promise((resolve, reject) => {
      if (this.waiting.length === 0) setImmediate(() => this.flush());
      this.waiting.push({ channel, resolve, reject });
    });
  }

  private flush(): void {
    const waiters = this.waiting;
    this.waiting = [];
    this.tips(waiters.map(({ channel }) => channel)).then(
      (tips) =>
        waiters.forEach(({ resolve, reject }, index) => {
          const tip = tips[index];
          if (tip === undefined) reject(unavailable('Redis did not answer with a tip'));
          else resolve(tip);
        }),
      (error: unknown) => {
        for (const { reject } of waiters) reject(error);
      },
    );
  }

  private async ask(
    partition: number,
    group: readonly number[],
    channels: readonly string[],
    tips: Position[],
  ): Promise<void> {
    const names = group.map((index) => channels[index] ?? '');
    const reply = (await this.commands.run(
      TIPS,
      partition,
      names.flatMap((channel) => [this.keys.head(channel), this.keys.stream(channel)]),
      [this.settings.epochs.next(), this.settings.headMs],
    )) as readonly (string | number)[];
    group.forEach((index, place) => {
      tips[index] = { epoch: String(reply[2 * place]), seq: Number(reply[2 * place + 1]) };
    });
  }
}
