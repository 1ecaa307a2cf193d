import type { Resetter } from '../commands/reset.js';
import type { OrderKeeperEvents } from '../hub/order-keeper.js';
import { plainGap } from '../outbox/entry.js';

/** What happens to the subscriptions of a channel whose log has another epoch, or has lost a range. */
export function keeperOwner(resetter: Resetter): OrderKeeperEvents {
  return {
    onNewEpoch(channel, tip) {
      channel.moveTo(tip);
      for (const subscription of channel.subscriptions) {
        if (subscription.epoch !== tip.epoch) resetter.reset(subscription);
      }
    },
    onLostRange(channel, from, to) {
      channel.skipTo(to);
      // A subscription that is still catching up meets the gap in the log itself.
      for (const subscription of channel.subscriptions) {
        if (!subscription.live || subscription.cursor >= to) continue;
        const first = Math.max(from, subscription.cursor + 1);
        subscription.outbox.pushGap(subscription, plainGap(first, to, 'expired', false, subscription.epoch));
        subscription.advance(to);
      }
    },
  };
}
