import type { SnapshotResult } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { Position } from '../../protocol/position.js';
import { Backoff, type BackoffDeps } from '../backoff.js';
import type { ClientTimer } from '../clock.js';
import type { CommandQueue } from '../command-queue.js';
import type { ClientLog } from '../log.js';
import type { WaitOptions } from '../promises.js';
import { recordOf } from '../received.js';
import { Waiter } from './waiter.js';

/** What a {@link StateReader} needs. */
export interface StateReaderDeps extends BackoffDeps {
  readonly commands: Pick<CommandQueue, 'dispatch'>;
  readonly log: ClientLog;
}

/**
 * Asks for the channel's state (P26e): once for all that wait for it, and again after a temporary refusal. Nothing of the channel
 * is sent to this client between the state and its place among the events.
 */
export class StateReader {
  private readonly askers = new Set<Waiter<SnapshotResult>>();
  /** Number of the subscription that is asked; an answer of an earlier one is ignored. */
  private life = 0;
  private isLive = false;
  private isAsking = false;
  private readonly backoff: Backoff;
  private timer: ClientTimer | undefined;

  /** @param answered called in the moment in which the answer comes. */
  constructor(
    private readonly channel: string,
    private readonly deps: StateReaderDeps,
    private readonly answered: (state: { readonly snapshot?: unknown }) => Position,
  ) {
    this.backoff = new Backoff(deps);
  }

  read(wait: WaitOptions): Promise<SnapshotResult> {
    const asker = new Waiter<SnapshotResult>(wait, this.deps.clock, (gone) => this.askers.delete(gone));
    this.askers.add(asker);
    if (!this.isAsking) this.ask();
    return asker.promise;
  }

  /** The channel is subscribed from now on. */
  start(): void {
    this.isLive = true;
    this.ask();
  }

  /** The subscription is gone; those who wait ask the next one. */
  stop(): void {
    this.life++;
    this.isLive = false;
    this.isAsking = false;
    this.backoff.reset();
    this.timer?.cancel();
  }

  /** The state came with an answer that nobody asked for it. */
  take(state: { readonly snapshot?: unknown }): void {
    if (this.askers.size === 0) return;
    const position = this.answered(state);
    for (const asker of this.askers) {
      asker.answer(omitUndefined({ position, snapshot: state.snapshot }));
      asker.release();
    }
  }

  fail(error: Error, quietly: boolean): void {
    const askers = [...this.askers];
    this.askers.clear();
    for (const asker of askers) asker.fail(error, quietly);
  }

  private ask(): void {
    if (!this.isLive || this.askers.size === 0) return;
    const { life, channel } = this;
    this.isAsking = true;
    this.deps.commands.dispatch({ type: 'snapshot', channel, immediate: true }, (error, answer) => {
      if (life !== this.life) return;
      if (error?.retryable === true) {
        const { clock, log } = this.deps;
        log('info', `The state of ${channel} is not ready: ${error.message}`, error);
        const delayMs = Math.max(this.backoff.next(), error.retryAfterMs ?? 0);
        this.timer = clock.schedule(delayMs, () => this.ask());
        return;
      }
      this.isAsking = false;
      this.backoff.reset();
      if (error === undefined) this.take(recordOf(answer));
      else this.fail(error, false);
    });
  }
}
