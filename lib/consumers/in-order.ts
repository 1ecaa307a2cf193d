import type { ConsumedCounts, PreparedPublish } from '../core/ports/consumers.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import type { Backoff } from './backoff.js';

/** An event, and whose it is. */
export interface Outgoing<Of> {
  readonly of: Of;
  readonly publish: PreparedPublish;
  /** Whether its id was made of where its record stands, so that no other record has it. */
  readonly isOwnId: boolean;
}

/** An event that the broker refuses for good. */
export interface Refused<Of> {
  readonly of: Of;
  readonly error: RealtimeError;
}

export interface InOrderDeps {
  readonly backoff: Backoff;
  readonly counts: ConsumedCounts;
  /** An attempt failed, and comes again. */
  readonly onRetry: (error: RealtimeError) => void;
  readonly onProgress: () => void;
  /** Asked right before events are sent. @throws Error when another node may send them by now */
  readonly assertHeld: () => void;
  /** An event of this id is there with other content. */
  readonly onDifferent: () => void;
}

/**
 * Publishes events until the broker has acknowledged all of them, those of one channel in their order: each names the one before it, so
 * that the broker takes none whose predecessor failed (P16).
 *
 * @returns what the broker refuses for good, when everything before it is there; what is behind it may or may not be. `'ended'` when the
 * signal came before another attempt; the first one is always made. `undefined` when all are there.
 * @throws Error of `assertHeld`
 */
export async function publishInOrder<Of>(
  events: readonly Outgoing<Of>[],
  { backoff, counts, onRetry, onProgress, assertHeld, onDifferent }: InOrderDeps,
  signal: AbortSignal,
): Promise<Refused<Of> | 'ended' | undefined> {
  let waiting = events;
  let refused: Refused<Of> | undefined;
  while (waiting.length > 0) {
    assertHeld();
    const outcomes = await Promise.allSettled(chained(waiting));
    const again: Outgoing<Of>[] = [];
    let temporary: RealtimeError | undefined;
    for (const [index, outgoing] of waiting.entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === 'fulfilled') {
        counts[outcome.value.duplicate ? 'duplicate' : 'published'] += 1;
        continue;
      }
      const error = asRealtimeError(outcome?.reason);
      if (error.code === 'conflict' && outgoing.isOwnId) {
        // This very record's event is there: `to` has made another one of it this time.
        counts.duplicate += 1;
        onDifferent();
      } else if (error.retryable) {
        again.push(outgoing);
        // Not what only follows from another one.
        if (error.code !== 'out_of_order') temporary ??= error;
      } else {
        refused = { of: outgoing.of, error };
        // Of what is behind it nothing is sent again before somebody has decided about it.
        break;
      }
    }
    const isStuck = again.length === waiting.length;
    waiting = again;
    if (!isStuck) {
      backoff.reset();
      onProgress();
    }
    if (waiting.length === 0) break;
    const error = temporary ?? new RealtimeError('out_of_order');
    onRetry(error);
    await backoff.pause(signal, error.retryAfterMs);
    if (signal.aborted) return 'ended';
  }
  return refused;
}

/** Sends all. In each channel the first that waits has nothing before it that is not there. */
function chained<Of>(waiting: readonly Outgoing<Of>[]): Promise<{ readonly duplicate: boolean }>[] {
  const last = new Map<string, string>();
  return waiting.map(async ({ publish }) => {
    const after = last.get(publish.channel);
    last.set(publish.channel, publish.id);
    return publish.send(after);
  });
}

function asRealtimeError(error: unknown): RealtimeError {
  return error instanceof RealtimeError ? error : new RealtimeError('internal', undefined, { cause: error });
}
