import { ChannelSet } from '../../core/channel/channel-set.js';
import { ChannelPattern } from '../../core/channel/pattern.js';
import type { ChannelDefinition } from '../../core/ports/channel-definition.js';
import { isReservedChannel } from '../../protocol/channel-name.js';
import type { RealtimeConfig } from './resolve-options.js';

/** A name or pattern of a channel in an option. */
export interface NamedChannels {
  /** Of the option, such as `hooks.channels[0]`. */
  readonly path: string;
  readonly text: string;
  /** Whether any channel of the application has such a name. */
  readonly exists: boolean;
}

/** Every name and pattern of channels in the options, in their order. What matches no channel does nothing, in silence. */
export function namedChannels(
  { hooks, spam }: Pick<RealtimeConfig, 'hooks' | 'spam'>,
  definitions: readonly Pick<ChannelDefinition, 'pattern'>[],
): readonly NamedChannels[] {
  const patterns = definitions.map(({ pattern }) => ChannelPattern.parse(pattern));
  const of = (path: string, texts: readonly string[] = []): readonly NamedChannels[] =>
    texts.map((text, index) => ({ path: `${path}[${index}]`, text, exists: isKnown(text, patterns) }));
  return [...of('hooks.channels', hooks?.policy.channels), ...of('moderation.spam.channels', spam?.channels)];
}

function isKnown(text: string, patterns: readonly ChannelPattern[]): boolean {
  // Those of the library itself, such as `$user.:id`, are always there.
  if (isReservedChannel(text)) return true;
  const { pattern } = ChannelSet.parse(text);
  if (pattern !== undefined) return patterns.some((one) => one.overlaps(pattern));
  return patterns.some((one) => one.covers(text.split('.')));
}
