/** A promise together with what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
  /** Nobody has to care for a rejection that follows: it is no uncaught error if nobody does. */
  readonly quiet: () => void;
}

/** Makes a {@link Deferred}. */
export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  const quiet = (): void => void promise.catch(() => undefined);
  return { promise, resolve, reject, quiet };
}

/** Runs what returns a promise; what it throws becomes a rejection. Unlike an `async` function it adds no promise of its own. */
export function attempt<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run();
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }
}
