export { RealtimeClient, type ClientEventMap } from './realtime-client.js';
export type { RealtimeClientOptions, TokenProvider } from './options.js';
export type { ClientState, ClientStats, ClientStatus, ErrorContext } from './state.js';
export type { ClientLog } from './log.js';
export type { Off } from './emitter.js';
export type { WaitOptions } from './promises.js';
export type { ClientFetch } from './transport/probe.js';
export type { WebSocketConstructor, WebSocketLike } from './transport/websocket.js';
export type { EventsOptions } from './channel/event-stream.js';
export type { ChannelHandle, SignalOptions } from './channel/handle.js';
export type { ChannelPresence } from './channel/presence.js';
export type {
  ChannelEvent,
  ChannelEventMap,
  ChannelGap,
  ChannelPersist,
  ChannelRecovered,
  ChannelSignal,
  ChannelState,
  ChannelSubscribeOptions,
  ChannelSubscription,
  ChannelUnsubscribed,
  PublishOptions,
} from './channel/types.js';

export { RealtimeError } from '../protocol/realtime-error.js';
export { ERROR_CODES, type ErrorCode } from '../protocol/error-codes.js';
export { CLOSE_CODES, type CloseName } from '../protocol/close-codes.js';
export { plainJsonCodec as jsonCodec } from '../protocol/codecs/plain-json.js';
export type { Codec } from '../protocol/codecs/codec.js';
export type { HistoryOptions, PresenceOptions } from '../protocol/commands.js';
export type {
  HistoryEvent,
  HistoryResult,
  PresenceMember,
  PresencePage,
  PublishResult,
  SnapshotResult,
  SubscribeResult,
} from '../protocol/messages.js';
export type { Position, Recovery } from '../protocol/position.js';
