import { setFlagsFromString } from 'node:v8';
import { elapse } from './patience.js';
import { runInNewContext, runInThisContext } from 'node:vm';

/** Node's own `process`: jest gives tests a copy, which is not told of uncaught errors. */
const realProcess = runInThisContext('process') as NodeJS.Process;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes: a collection that frees less than this has found nothing that matters. */
const RESTS = 64 * 1024;

/** Bytes of heap and buffers that are really in use. */
export function usedMemory(): number {
  // One collection does not free all: megabytes of buffers that are garbage were seen to survive the
  // first, and what finalizers let go is freed by the next. So until nothing more is freed.
  let least = Infinity;
  for (;;) {
    collect();
    const { heapUsed, arrayBuffers } = realProcess.memoryUsage();
    const used = heapUsed + arrayBuffers;
    if (used > least - RESTS) return Math.min(used, least);
    least = used;
  }
}

/** Frees what nothing holds any more, after what is under way came to rest. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await elapse(5);
    collect();
  }
}

/** Listens for errors that nobody caught, until `stop`, or `settled`, which waits for those that Node has yet to report. */
export function watchUncaught(): {
  readonly errors: readonly unknown[];
  stop(): void;
  settled(): Promise<readonly unknown[]>;
} {
  const errors: unknown[] = [];
  const note = (error: unknown): void => void errors.push(error);
  realProcess.on('uncaughtException', note);
  realProcess.on('unhandledRejection', note);
  const stop = (): void => {
    realProcess.off('uncaughtException', note);
    realProcess.off('unhandledRejection', note);
  };
  return {
    errors,
    stop,
    async settled() {
      // Node reports a rejection that nobody handled when the microtasks have run.
      await new Promise((resolve) => setImmediate(resolve));
      stop();
      return errors;
    },
  };
}
