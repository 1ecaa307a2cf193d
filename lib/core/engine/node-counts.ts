import { ChannelCounts } from '../hub/channel-counts.js';
import { PublishSample } from '../log/publish-sample.js';
import { BlockedOutboxes } from '../outbox/blocked-outboxes.js';
import type { OutboxBudget } from '../outbox/outbox-budget.js';
import { Traffic } from '../outbox/traffic.js';
import type { Clock } from '../ports/clock.js';
import type { Observer } from '../ports/observer.js';
import { SessionStates } from '../session/session-states.js';

/** What a node counts for whoever wants to know, and for nothing else. */
export class NodeCounts {
  readonly traffic = new Traffic();
  readonly blocked: BlockedOutboxes;
  readonly states = new SessionStates();
  readonly channels = new ChannelCounts();
  readonly sample = new PublishSample();
  /** Called with each append; `undefined` where nobody wants to know when it is delivered. */
  readonly onAppend: ((channel: string, id: string) => void) | undefined;

  /** @param hub asked for when something is appended: it is made later. */
  constructor(
    observer: Observer,
    clock: Pick<Clock, 'monotonic'>,
    hub: () => { find(channel: string): { readonly isHeard: boolean } | undefined },
    memory: Pick<OutboxBudget, 'hold' | 'release'>,
  ) {
    this.blocked = new BlockedOutboxes(memory);
    if (observer.onPublishDelivered === undefined) return;
    this.onAppend = (channel, id) => {
      if (hub().find(channel)?.isHeard === true) this.sample.begin(channel, id, clock.monotonic());
    };
  }
}
