import { ChannelRegistry } from '../channel/registry.js';
import { Resetter } from '../commands/reset.js';
import { AppendQueue } from '../log/append-queue.js';
import { CatchUp } from '../hub/catch-up.js';
import type { OrderKeeperOwner } from '../hub/order-keeper.js';
import { RetryQueue } from '../async/retry-queue.js';
import { FlushPace } from '../outbox/flush-pace.js';
import { FlushScheduler } from '../outbox/flush-scheduler.js';
import { Hub } from '../hub/hub.js';
import { TimerWheel } from '../async/timer-wheel.js';
import { PresenceTracker } from '../hub/presence-tracker.js';
import { BanList } from '../access/ban-list.js';
import { RateLimit } from '../access/rate-limit.js';
import { RecentIds } from '../log/recent-publishes.js';
import { Revocations } from '../access/revocations.js';
import { RevokeView } from '../access/revocation-freshness.js';
import { UserBuckets } from '../access/user-buckets.js';
import { SessionRegistry } from '../session/registry.js';
import { TicketSigner } from '../access/ticket.js';
import { checkCapabilities } from './capability-check.js';
import type { EngineContext } from './context.js';
import type { EngineOptions, EngineSettings } from '../ports/settings.js';
import { userChannelDefinition } from './user-channel.js';
import { Withholding } from './delivery-freeze.js';

/** The parts of one engine, put together. */
export interface ComposedEngine {
  readonly context: EngineContext;
}

/** Builds the services of an engine and ties the knots between them. */
export function composeEngine(options: EngineOptions): ComposedEngine {
  const { broker, settings, clock, entropy, logger } = options;
  const { limits } = settings;
  checkCapabilities(options.channels, broker);
  const own = [userChannelDefinition(broker.capabilities, limits.dedupeMs)];
  const scheduler = new FlushScheduler(clock, new FlushPace(settings.maxFlushDelayMs), (error) =>
    logger.error('Flushing queues failed', error),
  );
  const wheel = new TimerWheel(clock, granularityOf(settings));
  const retries = new RetryQueue(clock);
  const resetter = new Resetter(() => context);
  const revokeView = new RevokeView(clock, new Withholding(() => context));
  const hub = new Hub(
    {
      broker,
      scheduler,
      clock,
      logger,
      retries,
      revokes: revokeView,
      lingerMs: settings.lingerMs,
      ringSize: settings.ringSize,
      onBehind: (subscription) => context.catchUp.pump(subscription),
    },
    keeperOwner(resetter),
  );
  const context: EngineContext = {
    draining: false,
    settings,
    clock,
    entropy,
    logger,
    wheel,
    scheduler,
    broker,
    channels: new ChannelRegistry(options.channels, own),
    requests: new Map(options.requests),
    authenticator: options.authenticator,
    onConnect: options.onConnect,
    sessions: new SessionRegistry(),
    outboxes: { limits: settings.outbox, scheduler, clock, wheel },
    listeners: new Set(),
    tickets: new TicketSigner(settings.ticketSecret),
    hub,
    appends: new AppendQueue(broker),
    retries,
    catchUp: new CatchUp({
      broker,
      clock,
      retries,
      // Either may be the older one: the node that has not noticed yet, or the subscription that was planned before it did.
      onNewEpoch: (subscription) =>
        hub.verify(subscription.channel, () => {
          if (subscription.epoch === subscription.channel.tip.epoch) context.catchUp.pump(subscription);
          else resetter.reset(subscription);
        }),
      onFailed: (subscription, error) => {
        logger.error(`Delivery failed on connection ${subscription.call.connection.id}`, error);
        subscription.outbox.fail();
      },
    }),
    presence: new PresenceTracker(broker, clock, logger, settings.presenceLeaseMs),
    bans: new BanList(),
    addressBans: new BanList(),
    revocations: new Revocations(),
    revokeView,
    recentIds: new RecentIds(),
    userBuckets: new UserBuckets(limits.userRatePerSecond),
    rates: {
      commands: new RateLimit(limits.ratePerSecond, limits.burst),
      bytes: new RateLimit(limits.bytesPerSecond, limits.bytesPerSecond * 2),
    },
  };
  return { context };
}

function keeperOwner(resetter: Resetter): OrderKeeperOwner {
  return {
    onNewEpoch(channel, tip) {
      channel.moveTo(tip);
      for (const subscription of channel.subscriptions) {
        if (subscription.epoch !== tip.epoch) resetter.reset(subscription);
      }
    },
    onLostRange(channel, from, to) {
      channel.skipTo(to);
      // Who is still catching up meets the hole in the log itself.
      for (const subscription of channel.subscriptions) {
        if (!subscription.live || subscription.cursor >= to) continue;
        subscription.outbox.pushGap(
          subscription,
          Math.max(from, subscription.cursor + 1),
          to,
          'expired',
          false,
        );
        subscription.cursor = to;
      }
    },
  };
}

/** Fine enough that no timer of a session is late by more than a twentieth of it. */
function granularityOf({ heartbeat, helloTimeoutMs }: EngineSettings): number {
  const shortest = Math.min(heartbeat.intervalMs, heartbeat.timeoutMs, helloTimeoutMs);
  return Math.min(250, Math.max(5, Math.floor(shortest / 20)));
}
