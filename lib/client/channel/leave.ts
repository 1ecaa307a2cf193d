import { exponentialDelay, type BackoffDeps } from '../backoff.js';
import type { CommandQueue } from '../command-queue.js';

/** What {@link leaveChannel} needs. */
export interface LeaveDeps extends BackoffDeps {
  readonly commands: Pick<CommandQueue, 'dispatch' | 'isJoinable'>;
}

/**
 * Tells the server that the channel is no longer wanted: again, if it refused that for now, as it would send the channel's events
 * until the connection ends.
 *
 * @param isWanted Whether somebody subscribed meanwhile, who takes over what the server has.
 * @param done Called once: the server has answered, or has nothing of the channel any more.
 */
export function leaveChannel(
  channel: string,
  deps: LeaveDeps,
  isWanted: () => boolean,
  done: () => void,
  retries = 0,
): void {
  const { clock, commands, random, retry } = deps;
  const isOver = (): boolean => isWanted() || !commands.isJoinable();
  commands.dispatch({ type: 'unsubscribe', channel, immediate: true }, (error) => {
    if (error?.retryable !== true || isOver()) {
      done();
      return;
    }
    const delayMs = Math.max(error.retryAfterMs ?? 0, exponentialDelay(retry(), retries, random));
    clock.schedule(delayMs, () => {
      if (isOver()) done();
      else leaveChannel(channel, deps, isWanted, done, retries + 1);
    });
  });
}
