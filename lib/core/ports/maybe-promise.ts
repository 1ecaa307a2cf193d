/** A value, or a promise of it: synchronous work is not made to wait a turn. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether a value must be awaited. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}
