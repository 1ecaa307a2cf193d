/** A value, or a promise of it: synchronous work does not have to wait for a turn. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether a value must be awaited. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Passes a value on, at once when it is no promise: a chain of steps costs a promise only where one of them does. */
export function whenReady<T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** A promise that rejects with what was thrown, for functions that return promises and are not `async`. */
export async function rejected(error: unknown): Promise<never> {
  throw error;
}
