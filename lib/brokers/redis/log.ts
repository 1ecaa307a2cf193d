import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  AppendOutcome,
  AppendRequest,
  BrokerLog,
  EraseResult,
  ReadRequest,
  ReadResult,
  SignalMessage,
} from '../../core/ports/broker.js';
import { ChannelEvent } from '../../core/ports/channel-event.js';
import type { EraseRequest } from '../../core/ports/erasure.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { RedisAppends } from './append/appends.js';
import type { ChannelSubscriptions } from './connection/channel-subscriptions.js';
import type { RedisCommands } from './connection/commands.js';
import { notRunning, unavailable } from './errors.js';
import type { RedisErasures } from './erasures.js';
import type { RedisFeeds } from './feed.js';
import type { RedisKeys } from './keys.js';
import { MAX_MESSAGE_BYTES, TOO_LARGE, type RedisSettings } from './settings.js';
import { groupBy } from './group-by.js';
import { decodeRecord, encodeSignal } from './wire.js';
import { ORIGINS } from './scripts/origins.js';
import { READ } from './scripts/read.js';
import { TIPS } from './scripts/tips.js';

/** Most channels in one script call. */
const TIPS_BATCH = 100;
/** Most events that a read answers with, whatever it asks for (G8). */
const MAX_READ = 1_000;

/** Where a log ends, compared with a position of it. */
export interface ComparedTip {
  readonly tip: Position;
  /** Whether the position is one of the log still (G6): what came behind it continues it. */
  readonly continuous: boolean;
}

/** Channels whose tips are asked for in one turn of the event loop. */
interface TipTurn {
  readonly channels: string[];
  readonly tips: Promise<readonly Position[]>;
}

interface TipQuestion {
  readonly channels: readonly string[];
  /** One for each channel, or none. */
  readonly positions: readonly Position[] | undefined;
  /** The answers, at the places of the channels. */
  readonly tips: ComparedTip[];
}

/** The logs of all channels, and what this node subscribes to of them. */
export class RedisLog implements BrokerLog {
  private turn: TipTurn | undefined;

  constructor(
    private readonly commands: RedisCommands,
    private readonly appends: RedisAppends,
    private readonly subscriptions: ChannelSubscriptions,
    private readonly feeds: RedisFeeds,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly erasures: RedisErasures,
  ) {}

  /** Makes sure that every partition has an origin, so that no read has to make it. */
  async start(): Promise<void> {
    const { keys, commands, settings } = this;
    const all = [...keys.origins.entries()];
    const groups = commands.clustered ? all.map((one) => [one]) : [all];
    await Promise.all(
      groups.map((group) =>
        commands.run(
          ORIGINS,
          group[0]?.[0] ?? 0,
          group.map(([, key]) => key),
          [settings.epochs.next(), settings.headMs],
        ),
      ),
    );
  }

  /**
   * Of each request the outcome says whether it is in the log; it is `timeout` when that is not known, and `unavailable`
   * when nothing was appended. No command that may have run is sent again (G21).
   */
  appendMany(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    return this.appends.append(requests);
  }

  async read({ channel, epoch, from, until, limit, reverse }: ReadRequest): Promise<ReadResult> {
    const { headMs, maxReadBytes, epochs, clock } = this.settings;
    const most = Math.min(limit, MAX_READ);
    const reply = (await this.commands.read(
      READ,
      this.keys.partitionOf(channel),
      [this.keys.head(channel), this.keys.stream(channel), this.keys.origin(channel)],
      [epochs.next(), headMs, epoch ?? '', from, until ?? '', most, reverse === true ? 1 : 0, maxReadBytes],
    )) as readonly (string | number)[];
    const tip: Position = { epoch: String(reply[0]), seq: Number(reply[1]) };
    const oldest = Number(reply[3]);
    const [low, high] = [Math.max(from, oldest), Math.min(until ?? tip.seq, tip.seq)];
    const events: ChannelEvent[] = [];
    const [serverNow, now] = [Number(reply[4]), clock.monotonic()];
    for (let at = 5; at < reply.length; at += 3) {
      const [first, appendedAt, text] = [Number(reply[at]), Number(reply[at + 1]), String(reply[at + 2])];
      const record = recordOf(text, channel, tip.epoch, first, appendedAt, serverNow - appendedAt, now);
      // A record may begin before the range, and end behind it.
      const wanted = record.slice(Math.max(0, low - first), Math.max(0, high - first + 1));
      if (wanted.length > 0) {
        events.push(...(reverse === true ? wanted.reverse() : wanted));
        continue;
      }
      // Another program spoiled the record. The reader continues behind the one event of it that is certainly there.
      const newer = events.at(-1)?.seq ?? high + 1;
      const seq = reverse === true ? Math.min(high, newer - 1) : Math.max(low, first);
      events.push(ChannelEvent.unreadable({ channel, epoch: tip.epoch, seq, ts: appendedAt }));
    }
    return { tip, continuous: reply[2] === 1, oldest, events: events.slice(0, most) };
  }

  erase(request: EraseRequest): Promise<EraseResult> {
    return this.erasures.erase(request);
  }

  /** Tips in the order asked, by as few calls as the layout allows. */
  async tips(channels: readonly string[]): Promise<readonly Position[]> {
    return (await this.compare(channels)).map(({ tip }) => tip);
  }

  /** The same; where positions are given, one for each channel, with what has become of them. */
  async compare(
    channels: readonly string[],
    positions?: readonly Position[],
  ): Promise<readonly ComparedTip[]> {
    const tips: ComparedTip[] = [];
    const groups = groupBy([...channels.keys()], (index) =>
      this.commands.clustered ? this.keys.partitionOf(channels[index] ?? '') : 0,
    );
    const calls: Promise<void>[] = [];
    for (const [partition, group] of groups) {
      for (let start = 0; start < group.length; start += TIPS_BATCH)
        calls.push(
          this.ask(partition, group.slice(start, start + TIPS_BATCH), { channels, positions, tips }),
        );
    }
    await Promise.all(calls);
    return tips;
  }

  /** Subscribes first and reads the tip after it, so that what is appended between the two is delivered. */
  async subscribe(channel: string): Promise<Position> {
    this.feeds.open(channel);
    try {
      await this.subscriptions.add(this.keys.topic(channel), this.keys.partitionOf(channel));
      const tip = await this.tip(channel);
      this.feeds.setTip(channel, tip);
      return tip;
    } catch (error) {
      this.feeds.close(channel);
      this.subscriptions.remove(this.keys.topic(channel));
      throw error;
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    if (!this.feeds.isOpen) throw notRunning();
    this.feeds.close(channel);
    this.subscriptions.remove(this.keys.topic(channel));
  }

  async signal(channel: string, message: SignalMessage): Promise<void> {
    const partition = this.keys.partitionOf(channel);
    const text = encodeSignal(message);
    if (Buffer.byteLength(text) > MAX_MESSAGE_BYTES) throw new RealtimeError('message_too_large', TOO_LARGE);
    await this.commands.command(partition, 'spublish', [this.keys.topic(channel), text]);
  }

  /** The tip of one log, asked for together with the others of the same turn. */
  async tip(channel: string): Promise<Position> {
    const turn = (this.turn ??= this.beginTurn());
    const place = turn.channels.push(channel) - 1;
    const tip = (await turn.tips)[place];
    if (tip === undefined) throw unavailable('Redis answered without the tip of this channel');
    return tip;
  }

  private beginTurn(): TipTurn {
    const channels: string[] = [];
    const tips = nextTurn().then(() => {
      this.turn = undefined;
      return this.tips(channels);
    });
    return { channels, tips };
  }

  private async ask(
    partition: number,
    group: readonly number[],
    { channels, positions, tips }: TipQuestion,
  ): Promise<void> {
    const names = group.map((index) => channels[index] ?? '');
    const asked = positions === undefined ? [] : group.flatMap((index) => partsOf(positions[index]));
    const reply = (await this.commands.run(
      TIPS,
      partition,
      names.flatMap((channel) => [this.keys.head(channel), this.keys.origin(channel)]),
      [this.settings.epochs.next(), this.settings.headMs, ...asked],
    )) as readonly (string | number)[];
    group.forEach((index, place) => {
      const [epoch, seq, holds] = reply.slice(3 * place, 3 * place + 3);
      tips[index] = { tip: { epoch: String(epoch), seq: Number(seq) }, continuous: holds === 1 };
    });
  }
}

function partsOf(position: Position | undefined): [epoch: string, seq: number] {
  return [position?.epoch ?? '', position?.seq ?? 0];
}

/** The events of a record; none where it is no record. */
function recordOf(...record: Parameters<typeof decodeRecord>): readonly ChannelEvent[] {
  try {
    return decodeRecord(...record);
  } catch {
    return [];
  }
}
