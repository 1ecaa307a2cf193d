import type { Clock } from '../../core/ports/clock.js';

/**
 * Waits for work, but not for ever: `app.close()` must end whatever a broker or a socket does. `false` when the
 * deadline came first; the work is then left to itself, and its failure is nobody's any more.
 */
export async function withDeadline(work: Promise<void>, ms: number, clock: Clock): Promise<boolean> {
  let cancel = (): void => undefined;
  const deadline = new Promise<boolean>((resolve) => {
    const timer = clock.schedule(ms, () => resolve(false));
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([work.then(() => true), deadline]);
  } finally {
    cancel();
    work.catch(() => undefined);
  }
}
