import { ChannelRegistry } from '../channel/channel.registry.js';
import { Resetter } from '../commands/reset.js';
import { AppendQueue } from '../delivery/append.queue.js';
import { CatchUp } from '../delivery/catch-up.js';
import type { OrderKeeperOwner } from '../delivery/order-keeper.js';
import { RetryQueue } from '../delivery/retry.queue.js';
import { FlushPace } from '../hub/flush.pace.js';
import { FlushScheduler } from '../hub/flush.scheduler.js';
import { Hub } from '../hub/hub.js';
import { TimerWheel } from '../ports/timer-wheel.js';
import { PresenceTracker } from '../presence/presence.tracker.js';
import { BanList } from '../protection/ban-list.js';
import { RateLimit } from '../protection/rate-limit.js';
import { RecentIds } from '../protection/recent-ids.js';
import { Revocations } from '../protection/revocations.js';
import { RevokeView } from '../protection/revoke-view.js';
import { UserBuckets } from '../protection/user-buckets.js';
import { SessionRegistry } from '../session/session.registry.js';
import { TicketSigner } from '../session/ticket.js';
import { checkCapabilities } from './capability.check.js';
import type { EngineContext } from './engine.context.js';
import type { EngineOptions, EngineSettings } from './engine.options.js';
import { userChannelDefinition } from './user-channel.definition.js';
import { Withholding } from './withholding.js';

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
