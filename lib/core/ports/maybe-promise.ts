/** A value, or a promise of it: synchronous work does not have to wait for a turn. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether a value must be awaited. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Continues with a value: at once where it is there, so that a chain of steps costs a promise only where one of them does. */
export function whenReady<T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** Continues with the result of `work`, or with the error that it throws or rejects with: at once where it is synchronous. */
export function attempt<T, R>(
  work: () => MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
  failed: (error: unknown) => MaybePromise<R>,
): MaybePromise<R> {
  let value: MaybePromise<T>;
  try {
    value = work();
  } catch (error) {
    return failed(error);
  }
  return isPromise(value) ? value.then(next, failed) : next(value);
}

/** A promise of what was thrown, for functions that return promises and are not `async`. */
export async function rejected(error: unknown): Promise<never> {
  throw error;
}
