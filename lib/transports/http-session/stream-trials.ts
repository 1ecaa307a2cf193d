import type { Clock, Scheduled } from '../../core/ports/clock.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import { COMMENT } from '../sse/blocks.js';
import type { EventStream } from '../sse/event-stream.js';

/** How long a trial is held, in milliseconds: what gathers answers gives a client the first bytes with the end, too late. */
const TRIAL_MS = 2_000;
/** Most trials of one address at a time, and of all. Each is a head and two comments. */
const MAX_PER_ADDRESS = 8;
const MAX_TRIALS = 1_000;

/** For a client whose trial finds no room: it keeps the session that it has. */
export const TOO_MANY_TRIALS: Refusal = {
  status: 429,
  message: 'Too many trials of event streams at once',
  code: 'rate_limited',
  retryAfterMs: TRIAL_MS,
};

/**
 * Event streams without a session, by which clients learn whether streams get through (P21k): a comment at once, and the end a while
 * later.
 */
export class StreamTrials {
  private readonly open = new Map<EventStream, Scheduled>();
  private readonly addresses = new Map<string, number>();

  constructor(private readonly clock: Pick<Clock, 'schedule'>) {}

  hasRoom(network: string): boolean {
    return this.open.size < MAX_TRIALS && (this.addresses.get(network) ?? 0) < MAX_PER_ADDRESS;
  }

  begin(stream: EventStream, network: string, headers: Readonly<Record<string, string>>): void {
    this.addresses.set(network, (this.addresses.get(network) ?? 0) + 1);
    this.open.set(
      stream,
      this.clock.schedule(TRIAL_MS, () => stream.end(COMMENT)),
    );
    stream.own({ onDrain: () => undefined, onGone: () => this.end(stream, network) });
    stream.begin(headers);
    stream.writeText(COMMENT);
  }

  /** Ends all of them. */
  close(): void {
    for (const [stream, timer] of this.open) {
      timer.cancel();
      stream.end(COMMENT);
    }
  }

  private end(stream: EventStream, network: string): void {
    this.open.get(stream)?.cancel();
    this.open.delete(stream);
    const left = (this.addresses.get(network) ?? 0) - 1;
    if (left > 0) this.addresses.set(network, left);
    else this.addresses.delete(network);
  }
}
