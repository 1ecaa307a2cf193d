import 'reflect-metadata';
import type { OverflowPolicy } from '../../core/ports/channel-definition.js';
import type { Durability } from '../../core/ports/broker.js';
import { CHANNEL_METADATA } from '../constants.js';
import type { Duration } from '../options/duration.js';
import { hideFromGateway } from './subscribe-message-metadata.js';

/** Where `@SubscribeMessage` handlers of a class that is also a gateway can be reached. */
export type Exposure = 'channel' | 'gateway';

/** How much of a channel's log is kept, for resume and `history`. */
export interface ChannelHistoryOptions {
  /** Most events kept per channel. Default 1000. */
  readonly size?: number;
  /** Longest time an event is kept. Default `'1h'`. */
  readonly ttl?: Duration;
  /** Most events that one resume replays; the rest is `truncated` with cause `limit` (P11). Default: `size`. */
  readonly replay?: number;
}

/** How presence is kept on a channel. */
export interface ChannelPresenceOptions {
  /** How long a device may be away before its member leaves (G19). Default `'15s'`. */
  readonly grace?: Duration;
  /**
   * Most members whose joins, changes and leaves are told one by one. Above it, clients are told the first members when
   * they subscribe, and then how many there are, at most once a second (P22a). Each join costs a message to every member,
   * so what a channel tells grows with the square of this. Default 200.
   */
  readonly maxMembers?: number;
}

/** How a channel behaves. */
export interface ChannelOptions {
  /** Log for resume and `history`; `false` keeps nothing and only counts (P27). Default `{ size: 1000, ttl: '1h' }`. */
  readonly history?: ChannelHistoryOptions | false;
  /** Whether members are known and told. Default `false`: it costs messages that most channels do not need. */
  readonly presence?: boolean | ChannelPresenceOptions;
  /**
   * What happens when a client reads more slowly than the channel writes (G13). Default `'disconnect'`: the client
   * comes back and misses nothing. The others stay connected and announce what was dropped (P25).
   */
  readonly overflow?: OverflowPolicy;
  /**
   * How far an acknowledged event must survive (G1). Default: what the broker declares. More than that is a boot
   * error.
   */
  readonly durability?: Durability;
  /**
   * How long a publish may be repeated under its id without being appended twice (G4); `false` switches it off.
   * Default: `limits.dedupe` of the module, which is also the least, because clients repeat for that long.
   */
  readonly dedupe?: Duration | false;
  /** The only event names that clients may `signal`. Default none. Needs `@Authorize('signal')`. */
  readonly signals?: readonly string[];
  /**
   * Only for a class that is also a `@WebSocketGateway`: where its `@SubscribeMessage` handlers can be reached.
   * `'channel'` makes them requests of the channel, behind its authorization; `'gateway'` leaves them on the
   * gateway's own path, where Nest serves them to everybody who can connect. Such a class must say it, or the
   * application does not boot.
   */
  readonly expose?: readonly Exposure[];
}

/** What `@Channel` leaves on a class. */
export interface ChannelMetadata {
  readonly pattern: string;
  readonly options: ChannelOptions;
}

/**
 * Makes a provider the code behind all channels whose name matches the pattern (P23). A class has one pattern, and no
 * name may match the patterns of two classes. The class is a singleton provider, and may also be a
 * `@WebSocketGateway`.
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
    // Before Nest looks for them: what is not exposed on the gateway's path must not be found there.
    const { expose } = options;
    if (Array.isArray(expose) && !expose.includes('gateway')) hideFromGateway(target.prototype as object);
  };
}
