import type { Position } from '../../protocol/position.js';
import type { Durability, LogPolicy } from './broker.js';
import type { MaybePromise } from './maybe-promise.js';
import type { RealtimeConnection } from './realtime-connection.js';
import type { RealtimeIdentity } from './identity.js';

/** What happens when a connection's outbound queue is full (G13). */
export type OverflowPolicy = 'disconnect' | 'drop-oldest' | 'drop-newest' | 'conflate';

/** Whether an overloaded node may thin out the events of a channel (G33). */
export type ChannelPriority = 'normal' | 'low';

/** What a client does with a channel, as authorizations name it. */
export type ChannelAction = 'subscribe' | 'publish' | 'signal' | 'request' | 'history' | 'presence';

/** How presence is kept on a channel. */
export interface PresencePolicy {
  /** How long a device may be disconnected before its member leaves, in milliseconds. */
  readonly graceMs: number;
  /** Most members whose changes are sent one by one; of a larger channel only the number of members is sent (P22a). */
  readonly maxMembers: number;
}

/** How a channel behaves, with every default filled in. */
export interface ChannelPolicy {
  readonly log: LogPolicy;
  /** Level that the channel needs; the broker must declare at least that (G1). */
  readonly durability: Durability;
  /** Most events that a resume replays; a longer one is `truncated` with cause `limit` (P11). */
  readonly replayLimit: number;
  readonly presence: PresencePolicy | false;
  readonly overflow: OverflowPolicy;
  /** Whether an overloaded node thins out its events (G33). Default: `normal`. */
  readonly priority?: ChannelPriority;
  /** As {@link EngineSettings.recheckMs}, for this channel. */
  readonly recheckMs?: number;
}

/** Parameters that a pattern took from a channel name. */
export type ChannelParams = Readonly<Record<string, string>>;

/** One call of the application's code. */
export interface HandlerCall {
  readonly connection: RealtimeConnection;
  /** What the engine verified, frozen; `connection.user` may have been changed or replaced by a guard. */
  readonly user: RealtimeIdentity | undefined;
  /** Empty for a request without a channel. */
  readonly channel: string;
  readonly params: ChannelParams;
  /** The client command's id; for `publish` the idempotency key (G4). */
  readonly id: string;
  /** Name of the event, where the command has one. */
  readonly event: string;
  /** Payload of `publish`, `signal` and `request`; `params` of `subscribe`. */
  readonly payload: unknown;
  /** Trace context of the client (W3C `traceparent`), for a span to continue. */
  readonly trace?: string | undefined;
  /** Further fields of the client's envelope. */
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
  /** Conflation key of a `publish`. */
  readonly key?: string | undefined;
  /** Milliseconds after which delivery of a `publish` is pointless. */
  readonly ttl?: number | undefined;
}

/** Result of an authorization: yes, no, or yes for some milliseconds, after which it is asked again. */
export type AuthorizationResult = boolean | { readonly forMs: number };

export type AuthorizeHandler = (call: HandlerCall) => MaybePromise<AuthorizationResult>;

/** Returns the payload that is appended; `undefined` appends the client's. */
export type PublishHandler = (call: HandlerCall) => MaybePromise<unknown>;

export type RequestHandler = (call: HandlerCall) => MaybePromise<unknown>;

/** State for newcomers (P26). */
export interface SnapshotHandler {
  /** Whether the result depends on the channel alone, so that subscribes at the same time may share a run. */
  readonly shareable: boolean;
  run(call: HandlerCall): MaybePromise<SnapshotState>;
}

/** What a snapshot handler gives. */
export interface SnapshotState {
  readonly state: unknown;
  /**
   * Position up to which the state has the events, at or before the tip. Default: the tip that was read before the handler
   * ran.
   */
  readonly position?: Position;
}

/** Application code of one channel pattern. */
export interface ChannelBehaviour {
  /** `'public'` admits everybody; an action without an entry follows G10. Each covers every path to what it opens. `subscribe` always has one (G9). */
  readonly authorize: Readonly<Partial<Record<ChannelAction, AuthorizeHandler | 'public'>>>;
  /** The only events that clients may publish. */
  readonly publish: ReadonlyMap<string, PublishHandler | undefined>;
  /** The only events that clients may signal. */
  readonly signals: ReadonlySet<string>;
  readonly requests: ReadonlyMap<string, RequestHandler>;
  readonly snapshot?: SnapshotHandler;
  readonly onSubscribe?: (call: HandlerCall) => MaybePromise<void>;
  readonly onUnsubscribe?: (call: HandlerCall) => MaybePromise<void>;
}

/** One channel pattern of the application. */
export interface ChannelDefinition {
  /** Dotted segments; `:name` takes one segment as a parameter (P23). */
  readonly pattern: string;
  /** Name of the class that declares it, for messages. */
  readonly source: string;
  readonly policy: ChannelPolicy;
  readonly behaviour: ChannelBehaviour;
}

/** Whether a subscribe needs an authorization. Events of other channels are public. */
export function isGuarded({ behaviour }: ChannelDefinition): boolean {
  return behaviour.authorize.subscribe !== 'public';
}

/** A request without a channel, which has an authorization of its own (G10). */
export interface ConnectionRequest {
  readonly authorize: AuthorizeHandler | 'public';
  readonly handle: RequestHandler;
}
