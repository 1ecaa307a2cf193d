import { isChannelName } from '../../protocol/channel-name.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ConcernedChannels } from '../ports/control.js';
import { ChannelPattern } from './pattern.js';

/**
 * Which channels an administrative act concerns: one, those of a pattern, or all. A text with a segment that begins with `:` is a
 * pattern, although it may be the name of a channel too: a pattern has that channel and more, so nothing is left out in silence.
 */
export class ChannelSet implements ConcernedChannels {
  static readonly ALL = new ChannelSet(undefined, undefined);

  private constructor(
    /** The one channel; `undefined` for several. */
    readonly name: string | undefined,
    readonly pattern: ChannelPattern | undefined,
  ) {}

  /** Exactly one channel, or all. */
  static only(name: string | undefined): ChannelSet {
    return name === undefined ? ChannelSet.ALL : new ChannelSet(name, undefined);
  }

  /**
   * @param text the name of a channel or a pattern; all channels when it is left out.
   * @throws RangeError for what is neither; it says what is wrong.
   * @example ChannelSet.parse('rooms.:room').has('rooms.42') // true
   */
  static parse(text: string | undefined): ChannelSet {
    if (text === undefined) return ChannelSet.ALL;
    if (text.split('.').some((segment) => segment.startsWith(':')))
      return new ChannelSet(undefined, ChannelPattern.parse(text));
    if (isChannelName(text)) return ChannelSet.only(text);
    throw new RangeError(`${JSON.stringify(text)} is neither the name of a channel nor a pattern`);
  }

  /** Equal for sets with the same channels: the names of parameters do not count. Neither `*` nor the empty text is a name. */
  get key(): string {
    if (this.pattern === undefined) return this.name ?? '';
    return this.pattern.segments.map((segment) => ('literal' in segment ? segment.literal : '*')).join('.');
  }

  get isPattern(): boolean {
    return this.pattern !== undefined;
  }

  has(channel: string): boolean {
    if (this.pattern === undefined) return this.name === undefined || this.name === channel;
    return this.pattern.covers(channel.split('.'));
  }
}

/** Whether there may be a channel that is in both. */
export function meet(one: ChannelSet, other: ChannelSet): boolean {
  if (one === ChannelSet.ALL || other === ChannelSet.ALL) return true;
  if (one.name !== undefined) return other.has(one.name);
  if (other.name !== undefined) return one.has(other.name);
  const [own, its] = [one.pattern?.segments ?? [], other.pattern?.segments ?? []];
  return (
    own.length === its.length &&
    own.every((segment, index) => {
      const second = its[index];
      if (second === undefined || !('literal' in segment) || !('literal' in second)) return true;
      return segment.literal === second.literal;
    })
  );
}

/**
 * What {@link ChannelSet.parse} makes of a text that the application gave.
 *
 * @param act what it was given for.
 * @throws RealtimeError `bad_request` for what is neither a name nor a pattern.
 */
export function channelsIn(act: string, text: string | undefined): ChannelSet {
  try {
    return ChannelSet.parse(text);
  } catch (error) {
    throw new RealtimeError('bad_request', `${act}: ${(error as Error).message}`, { cause: error });
  }
}
