import { ChannelEvent } from '../../core/ports/channel-event.js';
import type { Position } from '../../protocol/position.js';

/**
 * An event that makes the listener read the log, where there is nothing to deliver: too much is missing, it was never kept, or
 * another log took its place. It has no epoch, so it cannot be taken for an event of any log.
 */
export function tipNotice(channel: string, { seq }: Position): ChannelEvent {
  return new ChannelEvent({
    channel,
    seq,
    epoch: '',
    ts: 0,
    expiresAt: Infinity,
    id: '$tip',
    event: '$tip',
  });
}
