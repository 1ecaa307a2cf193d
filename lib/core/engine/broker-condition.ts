import { ThrottledLog } from '../async/throttled-log.js';
import type { BrokerState } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { EngineLogger } from '../ports/logger.js';
import type { Observer } from '../ports/observer.js';

export interface BrokerConditionDeps {
  readonly logger: EngineLogger;
  readonly clock: Clock;
  readonly observer: Pick<Observer, 'onBrokerState'>;
  /** Called when the broker can be reached again. */
  readonly onBack: () => void;
}

/** How the broker is, as it says itself: whether it can be reached, and whether it takes what is written to it. */
export class BrokerCondition {
  state: BrokerState = 'up';
  /** Why it cannot be reached; `undefined` while it can, or where it gives no reason. */
  reason: string | undefined;
  /** Why it refuses what is written to it although it is reached; `undefined` while it takes it. */
  refusal: string | undefined;
  private readonly journal: ThrottledLog;
  /** Whether the log says last that it refuses. */
  private refusalLogged = false;

  constructor(private readonly deps: BrokerConditionDeps) {
    this.journal = new ThrottledLog(deps.logger, deps.clock);
  }

  note(state: BrokerState, reason: string | undefined): void {
    if (state === this.state) return;
    const { logger, observer, onBack } = this.deps;
    this.state = state;
    this.reason = state === 'down' ? reason : undefined;
    observer.onBrokerState?.(state, reason);
    if (state === 'down') logger.warn(`The broker is away: ${reason ?? 'it gives no reason'}`);
    else {
      logger.log('The broker is back');
      onBack();
    }
  }

  /** It refuses what is written to it, for this reason, or no longer. A server at the edge of its memory may change its mind often. */
  noteRefusal(reason: string | undefined): void {
    if (reason === this.refusal) return;
    this.refusal = reason;
    if (reason === undefined) {
      if (this.refusalLogged) this.deps.logger.log('The broker takes what is written again');
      this.refusalLogged = false;
      return;
    }
    this.journal.warn('refusal', () => {
      this.refusalLogged = true;
      return `The broker refuses what is written to it: ${reason}`;
    });
  }
}
