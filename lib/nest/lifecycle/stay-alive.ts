/** Any: the timer does nothing. */
const EVERY_MS = 1_000;

/**
 * Keeps the process alive while work of a shutdown is under way. No timer of the library does (see `Clock.schedule`), so once the HTTP
 * server is closed, nothing else may be left: Node would exit in the middle of it, without a word.
 *
 * @param work must end by itself within its deadline.
 */
export async function stayAlive<T>(work: () => Promise<T>): Promise<T> {
  const alive = setInterval(() => undefined, EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(alive);
  }
}
