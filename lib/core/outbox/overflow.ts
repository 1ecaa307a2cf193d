import type { ChannelEvent } from '../ports/channel-event.js';
import type { Flow } from './entry.js';
import type { OutboxQueue } from './queue.js';

/** What happens to an event that finds the queue full. */
export type OverflowVerdict = 'queue' | 'dropped' | 'disconnect';

/**
 * Makes room for `event` by the policy of the channel, or reports that there is none (G13). Messages that may be dropped without
 * an announcement go first. Then only events of the same subscription are dropped: a channel pays for its own traffic. Answers
 * are never dropped. The time that it takes does not depend on what else is queued.
 *
 * @param isOver whether the queue is still too full for the event.
 */
export function applyOverflow(
  flow: Flow,
  event: ChannelEvent,
  queue: OutboxQueue,
  isOver: () => boolean,
): OverflowVerdict {
  while (isOver() && queue.dropDroppable());
  if (!isOver()) return 'queue';
  const policy = flow.definition.policy.overflow;
  if (policy === 'disconnect') return 'disconnect';
  if (policy === 'drop-newest') return 'dropped';
  if (policy === 'conflate') queue.conflate(flow, event.key, event.seq);
  while (isOver() && queue.dropOldest(flow));
  return isOver() ? 'dropped' : 'queue';
}
