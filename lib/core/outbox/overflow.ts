import type { ChannelEvent } from '../ports/channel-event.js';
import type { Flow, GapEntry, OutboxQueue, QueueEntry } from './queue.js';

/** What happens to an event that finds the queue full. */
export type OverflowVerdict = 'queue' | 'dropped' | 'disconnect';

/** One of how many queued events of the channel a drop removes: the search for them then pays for many events. */
const DROP_SHARE = 4;

/**
 * Makes room for `event` by the policy of the channel, or reports that there is none (G13). Only events of the same
 * subscription are dropped: a channel pays for its own traffic. Answers are never dropped.
 *
 * @param isOver whether the queue is still too full for the event.
 */
export function applyOverflow(
  flow: Flow,
  event: ChannelEvent,
  queue: OutboxQueue,
  isOver: () => boolean,
): OverflowVerdict {
  const policy = flow.definition.policy.overflow;
  if (policy === 'disconnect') return 'disconnect';
  if (policy === 'conflate') conflate(flow, event, queue);
  if (policy === 'drop-newest') return 'dropped';
  if (isOver()) dropOldest(flow, queue);
  return isOver() ? 'dropped' : 'queue';
}

function dropOldest(flow: Flow, queue: OutboxQueue): void {
  const own = queue.toArray().filter((entry) => isOwnEvent(entry, flow));
  const doomed = new Set(own.slice(0, Math.ceil(own.length / DROP_SHARE)));
  if (doomed.size > 0) rewrite(flow, queue, doomed, 'overflow');
}

/** Keeps the newest event of each key; `incoming` is the newest of its own. */
function conflate(flow: Flow, incoming: ChannelEvent, queue: OutboxQueue): void {
  const entries = queue.toArray();
  const seen = new Set<string>();
  if (incoming.key !== undefined) seen.add(incoming.key);
  const doomed = new Set<QueueEntry>();
  for (let index = entries.length - 1; index >= 0; index--) {
    const entry = entries[index] as QueueEntry;
    if (!isOwnEvent(entry, flow)) continue;
    const { key } = entry.event as ChannelEvent;
    if (key === undefined) continue;
    if (seen.has(key)) doomed.add(entry);
    else seen.add(key);
  }
  if (doomed.size > 0) rewrite(flow, queue, doomed, 'conflated', incoming.seq);
}

/**
 * Removes the doomed entries and announces them in their place: an overflow as a plain gap before what remains,
 * a conflation as one partial gap before the thinned batch, up to its last event (P25).
 */
function rewrite(
  flow: Flow,
  queue: OutboxQueue,
  doomed: ReadonlySet<QueueEntry>,
  reason: 'overflow' | 'conflated',
  thinnedTo?: number,
): void {
  const seqs = [...doomed].map((entry) => (entry.event as ChannelEvent).seq);
  const gap: GapEntry = {
    from: Math.min(...seqs),
    to: thinnedTo ?? Math.max(...seqs),
    reason,
    partial: reason === 'conflated',
    recoverable: flow.definition.policy.log.retain,
    epoch: flow.epoch,
    dropped: doomed.size,
  };
  const kept: QueueEntry[] = [];
  let announced = false;
  for (const entry of queue.toArray()) {
    const waiting = joining(entry, flow, gap);
    if (waiting !== undefined) {
      // They become one gap at the place of the first: before every event that it covers.
      gap.from = Math.min(gap.from, waiting.from);
      gap.to = Math.max(gap.to, waiting.to);
      gap.dropped += waiting.dropped;
    }
    const isLater = isOwnEvent(entry, flow) && (entry.event as ChannelEvent).seq >= gap.from;
    const isPlace = waiting !== undefined || doomed.has(entry) || isLater;
    if (!announced && isPlace) {
      kept.push({ flow, gap });
      announced = true;
    }
    if (waiting === undefined && !doomed.has(entry)) kept.push(entry);
  }
  queue.replace(kept);
}

/** Events that were queued before a `reset` belong to another log and are left alone. */
function isOwnEvent(entry: QueueEntry, flow: Flow): boolean {
  return entry.flow === flow && entry.event?.epoch === flow.epoch;
}

/** A queued gap that can be joined with `gap`: of the same reason and log, and adjacent unless it is partial. */
function joining(entry: QueueEntry, flow: Flow, gap: GapEntry): GapEntry | undefined {
  const { gap: waiting } = entry;
  if (waiting === undefined || entry.flow !== flow) return undefined;
  if (waiting.reason !== gap.reason || waiting.epoch !== gap.epoch) return undefined;
  const touches = waiting.to + 1 >= gap.from && waiting.from <= gap.to + 1;
  return gap.partial || touches ? waiting : undefined;
}
