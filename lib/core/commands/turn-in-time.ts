import { withTimeout } from '../async/with-timeout.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';

/**
 * The turn of a command that waits for it: a client that waits for the answer has one within `handlerTimeout`, however much
 * waits on this node. What it asked for is not done then.
 *
 * @throws RealtimeError `timeout`.
 */
export function turnInTime<T>(
  { clock, settings }: Pick<EnginePorts, 'clock' | 'settings'>,
  turn: MaybePromise<T>,
): MaybePromise<T> {
  return withTimeout(
    turn,
    settings.handlerTimeoutMs,
    clock,
    'Too much waits on this node: it had no turn in time',
  );
}
