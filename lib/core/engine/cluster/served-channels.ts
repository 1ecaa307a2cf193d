import { isChannelName } from '../../../protocol/channel-name.js';
import { isCount } from '../../../protocol/validation/checks.js';
import type { LocalChannelInfo } from './local-channels.js';

const MAX_PATTERN = 512;

/** A channel that is served now, as the nodes that answered serve it together. */
export interface ServedChannelInfo extends LocalChannelInfo {
  /** How many nodes serve it. */
  readonly nodes: number;
}

/** How nodes send channels to one another. */
export function writeChannels(channels: readonly LocalChannelInfo[]): readonly (readonly unknown[])[] {
  return channels.map(({ channel, pattern, subscribers }) => [channel, pattern, subscribers]);
}

/** Reads what another node sent. @param most channels. @returns `undefined` for what is no such list. */
export function readChannels(list: unknown, most: number): readonly LocalChannelInfo[] | undefined {
  if (!Array.isArray(list) || list.length > most) return undefined;
  const channels: LocalChannelInfo[] = [];
  for (const entry of list as unknown[]) {
    const [channel, pattern, subscribers] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (!isChannelName(channel) || !isCount(subscribers)) return undefined;
    if (typeof pattern !== 'string' || pattern.length > MAX_PATTERN) return undefined;
    channels.push({ channel, pattern, subscribers });
  }
  return channels;
}

/** Adds what one more node serves. */
export function addServed(
  served: Map<string, ServedChannelInfo>,
  channels: readonly LocalChannelInfo[],
): void {
  for (const { channel, pattern, subscribers } of channels) {
    const known = served.get(channel);
    served.set(channel, {
      channel,
      pattern,
      subscribers: subscribers + (known?.subscribers ?? 0),
      nodes: 1 + (known?.nodes ?? 0),
    });
  }
}
