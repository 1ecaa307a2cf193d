import type { RetryPolicy } from '../../protocol/messages.js';
import type { ClientClock } from '../clock.js';
import type { ErrorContext } from '../state.js';
import type { PublishQueue } from '../publish-queue.js';
import type { CommandQueue } from '../command-queue.js';

/** What a channel may use of its client. */
export interface ChannelHost<S = never> {
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly ids: () => string;
  readonly commands: CommandQueue;
  readonly publishes: Pick<PublishQueue, 'publish'>;
  readonly maxHeldEvents: number;
  readonly maxPresenceMembers: number;
  /** The policy that the server announced last. */
  readonly retry: () => RetryPolicy;
  /** Whether commands are sent at once. */
  readonly isLive: () => boolean;
  /** Whether subscribes are: on a connection that waits for `welcome`, too. */
  readonly isJoinable: () => boolean;
  /**
   * Opens the client if it was never used.
   *
   * @throws RealtimeError when it is closed.
   */
  readonly ensureStarted: () => void;
  readonly report: (error: unknown, context: ErrorContext) => void;
  /** Whether the channel is subscribed or listened to changed: it is kept, or may be forgotten. */
  readonly inUse: (subscription: S, used: boolean) => void;
}
