// What an application uses. Everything else has a subpath: admin, auth, broker, client, health, platform-ws, redis.
export { memoryBroker } from './brokers/memory/index.js';
export type { Broker } from './core/ports/broker.js';
export type { SessionCount, SessionPage } from './core/engine/cluster/cluster-sessions.js';
export type { SessionInfo } from './core/engine/cluster/local-sessions.js';
export type { ControlReceipt } from './core/ports/control.js';
export { RealtimeConnection } from './core/ports/realtime-connection.js';
export type { Authentication, Credentials, RealtimeIdentity } from './core/ports/identity.js';
export {
  Authorize,
  Channel,
  ChannelParam,
  DedupeInterceptor,
  EnvelopeInterceptor,
  MessageId,
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  PublicChannel,
  RealtimeBootError,
  RealtimeContext,
  RealtimeModule,
  RealtimeService,
  RealtimeUser,
  SequenceInterceptor,
  Snapshot,
  snapshotAt,
  type ChannelHandle,
  type ChannelOptions,
  type ChannelPolicyGuard,
  type Duration,
  type FeedOptions,
  type RealtimeAuthenticator,
  type RealtimeAuthOptions,
  type RealtimeConnectHook,
  type RealtimeLimits,
  type RealtimeModuleOptions,
  type RealtimeOptionsFactory,
  type SessionsHandle,
  type UserHandle,
} from './nest/index.js';
export type { ErrorCode } from './protocol/error-codes.js';
export { jsonCodec } from './protocol/codecs/json.js';
export { msgpackCodec } from './protocol/codecs/msgpack.js';
export type { HistoryResult, PresencePage, PublishResult } from './protocol/messages.js';
export { RealtimeError } from './protocol/realtime-error.js';
