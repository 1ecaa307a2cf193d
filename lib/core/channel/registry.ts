import { isChannelName, isReservedChannel } from '../../protocol/channel-name.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelDefinition, ChannelParams } from '../ports/channel-definition.js';
import type { ChannelSet } from './channel-set.js';
import { ChannelPattern } from './pattern.js';

/** A channel name with the definition that it belongs to. */
export interface ChannelMatch {
  readonly channel: string;
  readonly definition: ChannelDefinition;
  readonly params: ChannelParams;
  /**
   * Called when the application granted a client something on the channel: a name that it refuses costs nothing. There where the
   * name is counted.
   *
   * @throws RealtimeError `rate_limited` when it is one too many by now.
   */
  onGranted?(): void;
}

interface Entry {
  readonly pattern: ChannelPattern;
  readonly definition: ChannelDefinition;
}

/** The channel patterns of one application (G9). A name that matches none of them does not exist. */
export class ChannelRegistry {
  /** By number of segments: a name is only compared with patterns of the same number. */
  private readonly byLength = new Map<number, Entry[]>();
  readonly definitions: readonly ChannelDefinition[];

  /**
   * @throws RangeError when a pattern is malformed, reserved or overlaps another: both would authorize the same name.
   * @param own definitions of the library itself, which alone may begin with `$`.
   */
  constructor(definitions: readonly ChannelDefinition[], own: readonly ChannelDefinition[] = []) {
    this.definitions = definitions;
    for (const definition of own) this.add(definition);
    for (const definition of definitions) {
      if (isReservedChannel(definition.pattern)) {
        throw new RangeError(
          `${definition.source}: channel patterns that begin with "$" are the library's. Rename "${definition.pattern}".`,
        );
      }
      this.add(definition);
    }
  }

  /** The definition of a name, or `undefined` when none matches or the name is not one. */
  find(channel: string): ChannelMatch | undefined {
    if (!isChannelName(channel)) return undefined;
    const segments = channel.split('.');
    for (const entry of this.byLength.get(segments.length) ?? []) {
      const params = entry.pattern.match(segments);
      if (params !== undefined) return { channel, definition: entry.definition, params };
    }
    return undefined;
  }

  /** @throws RealtimeError `unknown_channel` (G9). */
  resolve(channel: string): ChannelMatch {
    const match = this.find(channel);
    if (match === undefined) throw new RealtimeError('unknown_channel');
    return match;
  }

  /** For the application, which gave the name itself. @throws RealtimeError `unknown_channel`, which names the channel. */
  require(channel: string): ChannelMatch {
    const match = this.find(channel);
    if (match !== undefined) return match;
    const message = `No @Channel matches ${JSON.stringify(channel)}. Check the name`;
    throw new RealtimeError('unknown_channel', message);
  }

  /** Whether some name of the set has a definition. */
  knows({ name, pattern }: ChannelSet): boolean {
    if (pattern === undefined) return name === undefined || this.find(name) !== undefined;
    const peers = this.byLength.get(pattern.segments.length) ?? [];
    return peers.some((entry) => entry.pattern.overlaps(pattern));
  }

  private add(definition: ChannelDefinition): void {
    const pattern = ChannelPattern.parse(definition.pattern);
    const peers = this.byLength.get(pattern.segments.length) ?? [];
    const other = peers.find((entry) => entry.pattern.overlaps(pattern));
    if (other !== undefined) {
      throw new RangeError(
        `The channel patterns "${other.definition.pattern}" (${other.definition.source}) and "${definition.pattern}" ` +
          `(${definition.source}) match the same names, so it is open which of them authorizes. ` +
          'Make a literal segment differ, or merge the classes.',
      );
    }
    peers.push({ pattern, definition });
    this.byLength.set(pattern.segments.length, peers);
  }
}
