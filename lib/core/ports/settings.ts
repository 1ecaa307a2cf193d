import type { AnnouncedLimits } from '../../protocol/envelope.js';
import type { RetryPolicy } from '../../protocol/messages.js';
import type { ChannelDefinition, ConnectionRequest } from './channel-definition.js';
import type { Broker, BrokerBus, BrokerLog, BrokerPresence } from './broker.js';
import type { Clock } from './clock.js';
import type { Entropy } from './entropy.js';
import type { EngineLogger } from './logger.js';
import type { MaybePromise } from './maybe-promise.js';
import type { Observer } from './observer.js';
import type { RealtimeConnection } from './realtime-connection.js';
import type { Authenticator, RealtimeIdentity, Verifier } from './identity.js';
import type { ProcessSampler, SheddingPolicy } from './overload.js';
import type { SpamPolicy } from './spam.js';
import type { EngineTracer } from './tracer.js';
import type { LimitsForUser } from './user-limits.js';

/** Whether the newest connection of a user who has as many as may be is refused, or the oldest ends (4812). */
export type UserOverflow = 'refuse' | 'end_oldest';

/** Bounds of what one client may send (G16); `welcome` announces some of them. */
export interface InboundLimits extends AnnouncedLimits {
  /** Commands that a client may send at once, above the sustained rate. */
  readonly burst: number;
  /** Bytes a second of one connection, sustained; the burst is twice that. */
  readonly bytesPerSecond: number;
  /** Commands a second over all connections of one user; the burst is twice that. 0 for no bound. */
  readonly userRatePerSecond: number;
  /** Bytes a second of answers that are charged (G16), sustained; eight seconds' worth may come at once. */
  readonly answerBytesPerSecond: number;
  /** The same over all connections of one user, or of the anonymous clients of one address. */
  readonly userAnswerBytesPerSecond: number;
  /** Time in which a user, or an address, regains twice `maxChannels` subscribes that cost no command. */
  readonly freeSubscribesEveryMs: number;
  /** Commands of one connection that run at the same time; further ones wait, and the engine stops reading from the client. */
  readonly maxInFlight: number;
  /**
   * Commands of one connection that wait because `maxInFlight` run, or for a turn of the event loop; further ones are refused
   * with `rate_limited`.
   */
  readonly maxQueuedCommands: number;
  /** Bytes of them. */
  readonly maxQueuedBytes: number;
  /** Bytes of them on all connections; one client may fill an eighth. */
  readonly maxWaitingCommandBytes: number;
  /**
   * Frames of the transport for each command of `ratePerSecond` and `burst`: fragments, pings and pongs, and frames without a
   * command count.
   */
  readonly framesPerCommand: number;
  /** Bytes of messages that clients have begun and not ended, and of what waits in sockets for its turn, over all connections of this node. */
  readonly maxUnfinishedBytes: number;
  /** Subscribers that a signal or a presence update reaches on this node for the price of one command. */
  readonly deliveriesPerCommand: number;
  /** Credentials that are being verified at the same time; further ones wait, see `admissionWaitMs`. */
  readonly maxVerifications: number;
  /** The same for one address. */
  readonly maxVerificationsPerAddress: number;
  /** New connections a second of one address, sustained; `maxConnectionsPerAddress` may come at once. */
  readonly connectsPerSecond: number;
  /** New connections a second of this node, sustained; twice as many may come at once. 0 for no bound. */
  readonly nodeConnectsPerSecond: number;
  /** The same of clients that bring a ticket of their session, which the rate above does not count. 0 for no bound. */
  readonly nodeReturnsPerSecond: number;
  /** Longest wait of a connection above these rates, and of a credential that finds no place to be verified. */
  readonly admissionWaitMs: number;
  /** Bytes of each of these kinds that wait, in which each counts 8 KiB more than it sent. */
  readonly maxWaitingBytes: number;
  /** Users and addresses whose rates are remembered, for each kind of rate. */
  readonly maxRateBuckets: number;
  /** Connections of one address; further ones are refused with 429. */
  readonly maxConnectionsPerAddress: number;
  /** Connections of one user over all nodes; 0 for no bound. */
  readonly maxConnectionsPerUser: number;
  /** What happens to one more. */
  readonly whenUserIsFull: UserOverflow;
  /** First bits of IPv6 addresses that are compared: all addresses with these are one client. */
  readonly ipv6Prefix: number;
  /** Connections of this node; further ones are refused with 503. */
  readonly maxConnections: number;
  /** Bytes of the `params` of one subscribe. */
  readonly maxParamsBytes: number;
  /** Bytes of the presence data of one member. */
  readonly maxPresenceBytes: number;
  /** Bytes that the subscriptions of one connection keep. */
  readonly maxRetainedBytes: number;
  /** The same over all connections of one user, or of the anonymous clients of one address. */
  readonly maxRetainedBytesPerUser: number;
  /** Bytes of one page of `history` or `presence`; a single larger event is a page of its own. */
  readonly maxPageBytes: number;
  /** Bytes of one answer that a handler of the application made: to a request, or with a snapshot. */
  readonly maxAnswerBytes: number;
  /** Bytes of publishes that the broker has not answered, on this node. */
  readonly maxAppendBytes: number;
  /** Different channels that one user, or the anonymous clients of one address, name within `distinctChannelsWindowMs`. */
  readonly maxDistinctChannels: number;
  readonly distinctChannelsWindowMs: number;
  /** Channels that this node serves at the same time. */
  readonly maxServedChannels: number;
  /** Bytes of one event or signal, whoever sends it; a larger one is refused with `message_too_large`. */
  readonly maxEventBytes: number;
}

/** How violations of the limits escalate (G16): an error each time, then a pause in reading, then 4807 and a ban. */
export interface AbusePolicy {
  /** Violations within `windowMs` after which reading is paused. */
  readonly throttleAfter: number;
  /** Violations within `windowMs` after which the connection is closed with 4807. */
  readonly closeAfter: number;
  readonly windowMs: number;
  /** How long the user, or the address of an anonymous client, is refused after a 4807; 0 for not at all. */
  readonly banMs: number;
  /** Refused credentials of one address within `authFailureWindowMs`; above it, further ones are answered `rate_limited`. */
  readonly authFailures: number;
  readonly authFailureWindowMs: number;
  /** How long they are answered so, the first time; twice as long each time that the address soon is above it again. */
  readonly authHoldMs: number;
  readonly authHoldMaxMs: number;
}

/** When handlers that keep failing are left alone (G16). */
export interface CircuitPolicy {
  /** Failures of a handler within `windowMs`, after which it may be left alone for all clients; 0 for never. */
  readonly failures: number;
  /** Of how many different clients these have to be. */
  readonly clients: number;
  /** Percent of the calls, and of the clients that call, that have to fail. */
  readonly share: number;
  readonly windowMs: number;
  /** Failures in a row of one client within `windowMs`, after which the handler is left alone for this client; 0 for never. */
  readonly clientFailures: number;
  /** How long it is left alone; twice as long each time that it soon fails again. */
  readonly openForMs: number;
  readonly maxOpenForMs: number;
}

/** Bounds of a connection's outbound queue (G13). */
export interface OutboxLimits {
  readonly maxBytes: number;
  readonly maxMessages: number;
  /** Bytes that may wait for all connections of one user, or of the anonymous clients of one address, on this node. */
  readonly maxBytesPerUser: number;
  /** Bytes that may wait for all connections of this node; what several share is counted once. */
  readonly maxBytesPerNode: number;
}

/** Numbers of the engine, with every default filled in. Durations in milliseconds. */
export interface EngineSettings {
  /** Names this node in tickets, control receipts and logs. */
  readonly nodeId: string;
  /** Producer name of the application's own publishes (P15). */
  readonly applicationName: string;
  readonly helloTimeoutMs: number;
  readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number };
  readonly retry: RetryPolicy;
  readonly limits: InboundLimits;
  readonly abuse: AbusePolicy;
  readonly circuits: CircuitPolicy;
  readonly outbox: OutboxLimits;
  /** Half of the time that events wait at most under load, to share a write with others and to be written. */
  readonly maxFlushDelayMs: number;
  /** Longest run of one handler of the application; after it the command is answered with `timeout`. */
  readonly handlerTimeoutMs: number;
  /** Longest time after which the authorization of a subscription is asked again; 0 for never. */
  readonly recheckMs: number;
  /** Age at which a connection is asked to come back, up to a fifth earlier; 0 for never. */
  readonly maxConnectionAgeMs: number;
  /** Whether a client without credentials may connect; it then has no user. */
  readonly anonymous: boolean;
  /** How long before a token's expiry `auth_required` is sent (G12). */
  readonly authRequiredAheadMs: number;
  /** Signs session tickets (P28); the same on every node of a cluster. */
  readonly ticketSecret: string;
  /** How long this node serves a channel after its last subscriber has left. */
  readonly lingerMs: number;
  /** Most recent events of a served channel that a node keeps for joining replay with live (G8). */
  readonly ringSize: number;
  /** Bytes of those of one channel. */
  readonly ringBytes: number;
  /** Bytes of those of all channels; above it the channel that had none for longest keeps only its newest. */
  readonly ringBytesPerNode: number;
  /** Life of a presence lease without renewal. */
  readonly presenceLeaseMs: number;
  /** Time over which `bye` is paced at a drain, so that clients come back a few at a time. */
  readonly drainSpreadMs: number;
}

/** What the parts of an engine are built on. Each picks what it needs. */
export interface EnginePorts extends Pick<
  EngineOptions,
  'onConnect' | 'settings' | 'clock' | 'entropy' | 'logger'
> {
  readonly authenticator: Verifier;
  readonly log: BrokerLog;
  readonly bus: BrokerBus;
  /** Membership of channels. */
  readonly members: BrokerPresence;
  /** All observers in one. A method that none has is `undefined`. */
  readonly observer: Observer;
  /** Absent where nothing is traced. */
  readonly tracer?: EngineTracer | undefined;
}

/** Whether slow mode and the protection against spam leave a user alone in a channel. */
export type IsExempt = (user: RealtimeIdentity, channel: string) => boolean;

/** Of which channels the broker records when they get subscribers and members over the whole cluster, and when they lose them. */
export interface HoldsPolicy {
  /** Names and patterns, as in `@Channel`. */
  readonly channels: readonly string[];
  /** How long a channel stays held after its last subscriber on this node, in milliseconds. */
  readonly vacatedAfterMs: number;
}

/** Everything an engine needs. */
export interface EngineOptions {
  readonly broker: Broker;
  readonly authenticator: Authenticator;
  readonly channels: readonly ChannelDefinition[];
  /** Requests without a channel, by event (G10). */
  readonly requests?: ReadonlyMap<string, ConnectionRequest>;
  /** Limits of single users. Default: all have the same. */
  readonly limitsForUser?: LimitsForUser | undefined;
  /** Runs after authentication and before `welcome`; `false` or a thrown error refuses with 4802 or the error's code. */
  readonly onConnect?: (connection: RealtimeConnection) => MaybePromise<boolean | void>;
  readonly settings: EngineSettings;
  /** A fingerprint that all nodes of the application share; see `BrokerListener`. Default: none. */
  readonly application?: string | undefined;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
  /** Users that slow mode leaves alone. Default: nobody. */
  readonly isExempt?: IsExempt | undefined;
  /** What is done against spam. Default: nothing, which costs nothing. */
  readonly spam?: SpamPolicy | undefined;
  /** When this node gives up what it can spare (G33). Default: never. */
  readonly shedding?: { readonly policy: SheddingPolicy; readonly sampler: ProcessSampler } | undefined;
  /** For hooks; needs a broker with `transitions`. Default: nothing is held, which costs nothing. */
  readonly holds?: HoldsPolicy | undefined;
  /** Metrics, an audit. Default: none, which costs nothing. */
  readonly observers?: readonly Observer[];
  /** Traces what happens. Default: nothing, which costs nothing. */
  readonly tracer?: EngineTracer | undefined;
}
