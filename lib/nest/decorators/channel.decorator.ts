import 'reflect-metadata';
import type { ChannelPriority, OverflowPolicy } from '../../core/ports/channel-definition.js';
import type { Durability } from '../../core/ports/broker.js';
import type { Duration } from '../options/duration.js';
import { hideFromGateway } from './subscribe-message-metadata.js';

const CHANNEL_METADATA = 'nestjs-realtime:channel';

/** Where clients reach the `@SubscribeMessage` handlers of a class that is also a gateway. */
export type Exposure = 'channel' | 'gateway';

/** How much of a channel's log is kept, for resume and `history`. */
export interface ChannelHistoryOptions {
  /** Events kept per channel. Default 1000. */
  readonly size?: number;
  /**
   * Bytes of events kept per channel, counted as JSON with all fields: the oldest events go first. An event larger than this alone
   * is delivered and numbered, but neither it nor what came before it is kept: set it above `limits.maxMessageBytes`. The
   * memory broker, which keeps them as values, keeps those that take four times as much of the heap. At least 1024. Default
   * 8388608 (8 MiB).
   */
  readonly maxBytes?: number;
  /** How long an event is kept. Default `'1h'`. */
  readonly ttl?: Duration;
  /** Events that one resume replays; the rest is `truncated` with cause `limit` (P11). Default: `size`. */
  readonly replay?: number;
}

/** How presence is kept on a channel. */
export interface ChannelPresenceOptions {
  /** How long a device may be away before its member leaves (G19). Default `'15s'`. */
  readonly grace?: Duration;
  /**
   * Up to so many members, clients are notified of each join, change and leave. Above it, they get the first members
   * when they subscribe, and then the number of members, at most once a second (P22a). Each join costs a message to
   * every member, so the messages grow with the square of this number. Default 200.
   */
  readonly maxMembers?: number;
}

/** How a channel behaves. */
export interface ChannelOptions {
  /** Log for resume and `history`; `false` keeps no events and only counts them (P27). Default: on. */
  readonly history?: ChannelHistoryOptions | false;
  /** Whether the members are known, and how. Default `false`: it costs messages that most channels do not need. */
  readonly presence?: boolean | ChannelPresenceOptions;
  /**
   * What happens when a client reads more slowly than the channel writes (G13). With `'disconnect'` the client
   * reconnects and misses nothing. With the others it stays connected and is notified of what was dropped. Default
   * `'disconnect'`.
   */
  readonly overflow?: OverflowPolicy;
  /**
   * Whether an overloaded node may thin out the events of the channel (G33, P34): with `'low'` subscribers are then sent, once a
   * second, the newest event of each key and the newest without one, behind one announcement of what is missing. Their order
   * stays, and `history` has the rest. Meant for prices, positions and counters, whose newest value stands for the older ones; not for
   * chats or orders. Default `'normal'`.
   */
  readonly priority?: ChannelPriority;
  /**
   * Longest time after which the authorization of each subscription is asked again; 0 for never (G11). Default: `recheck` of the
   * module.
   */
  readonly recheck?: Duration;
  /** What an acknowledged event must survive (G1); more than the broker promises is a boot error. Default: as the broker. */
  readonly durability?: Durability;
  /**
   * How long a publish may be repeated under its id without being appended twice (G4); `false` switches it off. Not
   * less than `limits.dedupe` of the module, because clients repeat for that long. Default: `limits.dedupe`.
   */
  readonly dedupe?: Duration | false;
  /** The event names that clients may `signal`; needs `@Authorize('signal')`. Default: none. */
  readonly signals?: readonly string[];
  /**
   * Only for a class that is also a `@WebSocketGateway`: where clients reach its `@SubscribeMessage` handlers.
   * `'channel'` makes them requests of the channel, behind its authorization; `'gateway'` leaves them on the gateway's
   * own path, where Nest serves them to everybody who can connect. Default: none; such a class must name at least one,
   * or the application does not boot.
   */
  readonly expose?: readonly Exposure[];
}

/** What `@Channel` stores on a class. */
export interface ChannelMetadata {
  readonly pattern: string;
  readonly options: ChannelOptions;
}

/**
 * Makes a provider the code of all channels whose name matches the pattern (P23). A class has one pattern, and no name
 * may match the patterns of two classes. The class is a singleton provider, and may also be a `@WebSocketGateway`.
 *
 * @param pattern Segments separated by dots; `:name` takes one segment as a parameter.
 * @example
 * @Channel('rooms.:room', { history: { size: 1000, ttl: '1h' }, presence: true })
 * export class RoomsChannel {
 *   @Authorize('subscribe')
 *   canRead(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
 *     return this.rooms.isMember(user, room);
 *   }
 * }
 * @publicApi
 */
export function Channel(pattern: string, options: ChannelOptions = {}): ClassDecorator {
  return (target) => {
    const metadata: ChannelMetadata = { pattern, options };
    Reflect.defineMetadata(CHANNEL_METADATA, metadata, target);
    // Runs before Nest looks for gateway handlers, so it does not find those that are not exposed there.
    const { expose } = options;
    if (Array.isArray(expose) && !expose.includes('gateway')) hideFromGateway(target.prototype as object);
  };
}

/** What `@Channel` stored on a class; `undefined` where it has none. */
export function channelOf(type: object): ChannelMetadata | undefined {
  return Reflect.getMetadata(CHANNEL_METADATA, type) as ChannelMetadata | undefined;
}
