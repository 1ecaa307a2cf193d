import type { ChannelEvent } from '../ports/channel-event.js';
import { ERASED_EVENT } from '../ports/erasure.js';

/** What was left out of a run of events. */
export interface Missing {
  /** `seq` of the first and the last one. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Events that are kept, and what is missing between and before them. */
export interface Thinned {
  readonly events: readonly ChannelEvent[];
  readonly missing: Missing | undefined;
}

/**
 * Keeps the newest event of each key, the newest without one, and what says that events were erased; of these the newest, where they
 * are more than fits.
 *
 * @param events in the order of the log, at least one: the last one is kept.
 * @param missing what was left out of the same run before.
 */
export function thinOut(
  events: readonly ChannelEvent[],
  missing: Missing | undefined,
  most: { readonly events: number; readonly bytes: number },
): Thinned {
  const seen = new Set<string | undefined>();
  const kept: ChannelEvent[] = [];
  let { from, to, count } = missing ?? { from: Infinity, to: 0, count: 0 };
  let bytes = 0;
  for (let index = events.length - 1; index >= 0; index--) {
    const event = events[index] as ChannelEvent;
    const { seq, key, size } = event;
    const isNewest = event.event === ERASED_EVENT || !seen.has(key);
    const fits = kept.length === 0 || (kept.length < most.events && bytes + size <= most.bytes);
    if (isNewest && fits) {
      if (event.event !== ERASED_EVENT) seen.add(key);
      kept.push(event);
      bytes += size;
      continue;
    }
    from = Math.min(from, seq);
    to = Math.max(to, seq);
    count++;
  }
  return { events: kept.reverse(), missing: count === 0 ? undefined : { from, to, count } };
}
