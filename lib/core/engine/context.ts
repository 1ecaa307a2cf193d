import type { ChannelRegistry } from '../channel/registry.js';
import type { ConnectionRequest } from '../ports/channel-definition.js';
import type { AppendQueue } from '../log/append-queue.js';
import type { CatchUp } from '../hub/catch-up.js';
import type { RetryQueue } from '../async/retry-queue.js';
import type { Hub } from '../hub/hub.js';
import type { FlushScheduler } from '../outbox/flush-scheduler.js';
import type { Broker } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { Entropy } from '../ports/entropy.js';
import type { EngineLogger } from '../ports/logger.js';
import type { TimerWheel } from '../async/timer-wheel.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import type { BanList } from '../access/ban-list.js';
import type { RateLimit } from '../access/rate-limit.js';
import type { RecentIds } from '../log/recent-publishes.js';
import type { RevokeView } from '../access/revocation-freshness.js';
import type { Revocations } from '../access/revocations.js';
import type { UserBuckets } from '../access/user-buckets.js';
import type { Authenticator } from '../ports/identity.js';
import type { OutboxShared } from '../outbox/outbox.js';
import type { SessionRegistry } from '../session/registry.js';
import type { TicketSigner } from '../access/ticket.js';
import type { ConnectionListener } from './api.js';
import type { EngineOptions, EngineSettings } from '../ports/settings.js';

/** The services that the commands of one engine share. Two engines share nothing. */
export interface EngineContext {
  /** Set once, by `beginDrain`: from then on the application's code is not called any more. */
  draining: boolean;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
  readonly wheel: TimerWheel;
  readonly scheduler: FlushScheduler;
  readonly broker: Broker;
  readonly channels: ChannelRegistry;
  readonly requests: Map<string, ConnectionRequest>;
  readonly authenticator: Authenticator;
  readonly onConnect: EngineOptions['onConnect'];
  readonly sessions: SessionRegistry;
  readonly outboxes: OutboxShared;
  readonly listeners: Set<ConnectionListener>;
  readonly tickets: TicketSigner;
  readonly hub: Hub;
  readonly appends: AppendQueue;
  readonly catchUp: CatchUp;
  /** What waits for the broker. */
  readonly retries: RetryQueue;
  readonly presence: PresenceTracker;
  /** Users that are refused. */
  readonly bans: BanList;
  /** Addresses that are refused; a list of its own, because clients can cause its entries. */
  readonly addressBans: BanList;
  readonly revocations: Revocations;
  /** Whether these may be taken for all that there are. */
  readonly revokeView: RevokeView;
  readonly recentIds: RecentIds;
  readonly userBuckets: UserBuckets;
  /** What one connection may send a second. */
  readonly rates: { readonly commands: RateLimit; readonly bytes: RateLimit };
}
