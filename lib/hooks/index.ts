export { realtimeHooks, type RealtimeHooksOptions } from './realtime-hooks.js';
export type { RealtimeHooks } from '../nest/hooks.js';
export type { HookProvider } from './provider-target.js';
export type {
  ChannelHookEvent,
  HookEvent,
  HookTarget,
  MemberHookEvent,
  OfflineHookEvent,
} from './hook-event.js';
export { DeliveryFailure, type DeliveryFailureDetails } from './delivery-failure.js';
export { webhookTarget } from './webhooks/webhook-target.js';
export type { WebhookOptions } from './webhooks/webhook-options.js';
export {
  verifyWebhook,
  WebhookVerificationError,
  type VerifiedWebhook,
  type WebhookHeaders,
} from './webhooks/verify-webhook.js';
