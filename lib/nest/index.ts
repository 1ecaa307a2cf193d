export { Authorize, PublicChannel } from './decorators/authorize.decorator.js';
export {
  Channel,
  type ChannelHistoryOptions,
  type ChannelOptions,
  type ChannelPresenceOptions,
} from './decorators/channel.decorator.js';
export type { ChannelPolicyGuard } from './decorators/channel-policy.guard.js';
export {
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  Snapshot,
  snapshotAt,
  type OnRequestOptions,
} from './decorators/handlers.decorator.js';
export { ChannelParam, MessageId, RealtimeUser } from './decorators/params.decorator.js';
export { RealtimeContext } from './decorators/realtime-context.js';
export { RealtimeBootError } from './errors/realtime-boot-error.js';
export { DedupeInterceptor } from './interceptors/dedupe.interceptor.js';
export { EnvelopeInterceptor } from './interceptors/envelope.interceptor.js';
export { SequenceInterceptor } from './interceptors/sequence.interceptor.js';
export { RealtimeRuntime } from './lifecycle/realtime-runtime.js';
export type { Duration } from './options/duration.js';
export { RealtimeModule } from './realtime.module.js';
export type {
  RealtimeAuthenticator,
  RealtimeAuthOptions,
  RealtimeConnectHook,
  RealtimeJwtOptions,
  RealtimeLimits,
  RealtimeModuleOptions,
  RealtimeOptionsFactory,
} from './realtime-options.js';
export type { FeedOptions } from './feed/serve-feed.js';
export {
  RealtimeService,
  type ChannelHandle,
  type SessionsHandle,
  type UserHandle,
} from './realtime.service.js';
