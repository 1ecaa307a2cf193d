/** A promise together with the functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
  /** Resolves with what `make` returns, or rejects with what it throws. */
  readonly settle: (make: () => T) => void;
  /** A later rejection that nobody handles is not reported as an uncaught error. */
  readonly ignoreRejection: () => void;
}

/** How long a caller waits for an answer. */
export interface WaitOptions {
  /**
   * Aborting it rejects the promise with its `reason`, as `fetch` does; nothing is reported if nobody handles that. What was sent
   * already may still have its effect.
   */
  readonly signal?: AbortSignal;
  /** Longest wait, in milliseconds. */
  readonly timeoutMs?: number;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  const settleWith = (make: () => T): void => {
    try {
      resolve(make());
    } catch (error) {
      reject(error as Error);
    }
  };
  return { promise, resolve, reject, settle: settleWith, ignoreRejection: () => ignoreRejection(promise) };
}

/** A rejection that nobody handles is not reported as an uncaught error. */
export function ignoreRejection(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}

/**
 * Runs `run`; what it throws becomes a rejection. Unlike an `async` function it adds no promise of its own. With a signal that is
 * aborted already, nothing is run.
 */
export function attempt<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal?.aborted === true) {
    const { promise, reject } = deferred<T>();
    ignoreRejection(promise);
    reject(reasonOf(signal));
    return promise;
  }
  try {
    return run();
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }
}

/**
 * Rejects the promise when the signal is aborted, then calls `onAbort`.
 *
 * @returns Ends the watch; to be called when the promise is settled.
 */
export function abortWith(
  signal: AbortSignal | undefined,
  { reject, ignoreRejection: ignore }: Pick<Deferred<unknown>, 'reject' | 'ignoreRejection'>,
  onAbort: () => void,
): () => void {
  const abort = (): void => {
    ignore();
    reject(reasonOf(signal));
    onAbort();
  };
  signal?.addEventListener('abort', abort, { once: true });
  return () => signal?.removeEventListener('abort', abort);
}

function reasonOf(signal: AbortSignal | undefined): Error {
  return (signal?.reason as Error | undefined) ?? new Error('Aborted');
}
