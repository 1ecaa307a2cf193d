import type { ChannelSet } from '../../channel/channel-set.js';
import type { Hub } from '../../hub/hub.js';
import type { Clock } from '../../ports/clock.js';
import { NODES_CHANNEL } from '../nodes-channel.js';
import { inTurns } from './in-turns.js';

/** A channel as one node serves it. */
export interface LocalChannelInfo {
  /** Name of the channel, e.g. `rooms.42`. */
  readonly channel: string;
  /** Pattern of its definition, e.g. `rooms.:room`. */
  readonly pattern: string;
  /** Subscriptions of sessions: live, or catching up. 0 for one whose last subscriber has just left. */
  readonly subscribers: number;
}

/** Finds the channels that this node serves, in turns of the event loop: there may be tens of thousands. */
export class LocalChannels {
  constructor(
    private readonly hub: Pick<Hub, 'channels'>,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {}

  /** The first `limit` channels of the set whose names come after one, by name. */
  async page(channels: ChannelSet, after: string, limit: number): Promise<readonly LocalChannelInfo[]> {
    const found: LocalChannelInfo[] = [];
    await inTurns(this.hub.channels(), this.clock, ({ name, definition, subscriptions }) => {
      if (name <= after || !channels.has(name)) return;
      insert(found, { channel: name, pattern: definition.pattern, subscribers: subscriptions.size }, limit);
    });
    return found;
  }

  /** The `limit` channels with the most subscribers, the fullest first. */
  async busiest(limit: number): Promise<readonly LocalChannelInfo[]> {
    const found: LocalChannelInfo[] = [];
    await inTurns(this.hub.channels(), this.clock, ({ name, definition, subscriptions }) => {
      const subscribers = subscriptions.size;
      // Those who look at the node are not what it is for.
      if (
        definition === NODES_CHANNEL ||
        subscribers === 0 ||
        (found.length >= limit && subscribers <= (found.at(-1)?.subscribers ?? 0))
      )
        return;
      const at = found.findIndex((other) => other.subscribers < subscribers);
      const info = { channel: name, pattern: definition.pattern, subscribers };
      found.splice(at === -1 ? found.length : at, 0, info);
      if (found.length > limit) found.pop();
    });
    return found;
  }
}

/** Keeps the `limit` channels with the smallest names, in their order. */
function insert(found: LocalChannelInfo[], info: LocalChannelInfo, limit: number): void {
  const last = found.at(-1);
  if (found.length >= limit && last !== undefined && last.channel < info.channel) return;
  let low = 0;
  let high = found.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((found[middle] as LocalChannelInfo).channel < info.channel) low = middle + 1;
    else high = middle;
  }
  found.splice(low, 0, info);
  if (found.length > limit) found.pop();
}
