import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock } from '../ports/clock.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';

/**
 * Gives asynchronous work a deadline (a handler that hangs must not hold its client). Work that is done at once
 * costs nothing.
 *
 * @param message Of the error. Default: that of the code.
 * @throws RealtimeError `timeout` after `timeoutMs`; what the work does later is ignored.
 */
export function withTimeout<T>(
  work: MaybePromise<T>,
  timeoutMs: number,
  clock: Clock,
  message?: string,
): MaybePromise<T> {
  if (!isPromise(work)) return work;
  return new Promise<T>((resolve, reject) => {
    const timer = clock.schedule(timeoutMs, () => reject(new RealtimeError('timeout', message)));
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it came
        reject(error);
      },
    );
  });
}
