import { ChannelCounts } from '../hub/channel-counts.js';
import type { FollowedAppends } from '../log/append-queue.js';
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
  /** Is called with appends; `undefined` where nobody wants to know when they are delivered. */
  readonly appends: FollowedAppends | undefined;

  /** @param hub asked for when something is appended: it is made later. */
  constructor(
    observer: Observer,
    clock: Pick<Clock, 'monotonic'>,
    hub: () => { find(channel: string): ServedChannel | undefined },
    memory: Pick<OutboxBudget, 'hold' | 'release'>,
  ) {
    this.blocked = new BlockedOutboxes(memory);
    if (observer.onPublishDelivered === undefined) return;
    const { sample } = this;
    this.appends = {
      begin: (channel, id) => {
        if (hub().find(channel)?.isHeard !== true) return;
        const overdue = sample.begin(channel, id, clock.monotonic());
        if (overdue === undefined) return;
        const served = hub().find(overdue.channel);
        if (served !== undefined)
          observer.onPublishDelivered?.(served.definition.pattern, overdue.durationMs);
      },
      none: (channel, id) => sample.abandon(channel, id),
    };
  }
}

interface ServedChannel {
  readonly isHeard: boolean;
  readonly definition: { readonly pattern: string };
}
