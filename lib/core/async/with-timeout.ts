import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock } from '../ports/clock.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

/**
 * Limits the time of asynchronous work, so that a handler that hangs does not block its client. A result that is there
 * already is returned as it is.
 *
 * @param message Of the error, or what makes another one. Default: that of the code.
 * @throws RealtimeError `timeout` after `timeoutMs` milliseconds; a later result is ignored.
 */
export function withTimeout<T>(
  work: MaybePromise<T>,
  timeoutMs: number,
  clock: Clock,
  message?: string | (() => RealtimeError),
): MaybePromise<T> {
  if (!isPromise(work)) return work;
  return new Promise<T>((resolve, reject) => {
    const timer = clock.schedule(timeoutMs, () =>
      reject(typeof message === 'function' ? message() : new RealtimeError('timeout', message)),
    );
    const afterCancel =
      <V>(next: (value: V) => void) =>
      (value: V): void => {
        timer.cancel();
        next(value);
      };
    // Once: the `then` of a query builder runs the query.
    work.then(afterCancel(resolve), afterCancel(reject));
  });
}
