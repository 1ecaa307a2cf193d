import type { ThrottledLog } from '../async/throttled-log.js';
import type { OutboxBudget } from '../outbox/outbox-budget.js';
import type { OutboxLimits } from '../ports/settings.js';
import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';
import { UnfinishedMessages } from './unfinished-messages.js';

/** Most of what may wait for clients of this node that may be answers of other nodes. */
const RELAYED_SHARE = 0.25;

export interface RelayedAnswersDeps {
  readonly limits: Pick<OutboxLimits, 'maxBytesPerNode'>;
  readonly budget: Pick<OutboxBudget, 'change'>;
  readonly journal: Pick<ThrottledLog, 'warn'>;
}

/**
 * What answers hold that the node of their session made, and whose clients have yet to read them here: no session of this node counts
 * it. Above its share of the bound, addresses are shed as {@link UnfinishedMessages} does: who holds most goes first.
 */
export class RelayedAnswers implements UnfinishedBytes {
  private readonly answers: UnfinishedMessages;

  constructor(private readonly deps: RelayedAnswersDeps) {
    const { limits, journal } = deps;
    const most = Math.floor(limits.maxBytesPerNode * RELAYED_SHARE);
    this.answers = new UnfinishedMessages(most, (network) =>
      journal.warn(
        'relayed answers',
        () =>
          `An answer to address ${network} was cut: what waits of sessions of other nodes exceeded ${most} bytes, a quarter of ` +
          'outbox.maxBytesPerNode, and this address reads least of it',
      ),
    );
  }

  note(sender: UnfinishedSender, bytes: number): void {
    const { answers, deps } = this;
    const before = answers.bytes;
    answers.note(sender, bytes);
    deps.budget.change(answers.bytes - before);
  }
}
