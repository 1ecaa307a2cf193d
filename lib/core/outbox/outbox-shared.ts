import type { TimerWheel } from '../async/timer-wheel.js';
import type { TurnClient } from '../async/turns.js';
import type { ClosableSession } from '../ports/connection.js';
import type { EnginePorts, OutboxLimits } from '../ports/settings.js';
import type { BlockedOutboxes } from './blocked-outboxes.js';
import type { ClientBytes } from './client-bytes.js';
import type { OnUnwritable } from './encoder.js';
import type { FlushScheduler } from './flush-scheduler.js';
import type { OutboxBudget } from './outbox-budget.js';
import type { OutboxQueue } from './queue.js';
import type { Traffic } from './traffic.js';

/** The session of an outbox. */
export interface OutboxSession extends ClosableSession, TurnClient {
  /** Whether it is known whose session it is: between `welcome` and the end. */
  readonly isLive: boolean;
}

/** What the outboxes of one engine share. */
export interface OutboxShared extends Pick<EnginePorts, 'clock' | 'observer'> {
  readonly limits: OutboxLimits;
  readonly budget: OutboxBudget;
  readonly traffic: Traffic;
  readonly blocked: BlockedOutboxes;
  /** What waits for each client on all its connections. */
  readonly queued: ClientBytes;
  /** The queue of every outbox in which nothing is queued; nothing is ever pushed into it. */
  readonly nothing: OutboxQueue;
  readonly scheduler: FlushScheduler;
  readonly wheel: TimerWheel;
  readonly onUnwritable: OnUnwritable;
}
