export { realtimeHooks, type RealtimeHooksOptions } from './realtime-hooks.js';
export type { HookProvider } from './provider-target.js';
export type {
  ChannelHookEvent,
  HookEvent,
  HookTarget,
  MemberHookEvent,
  OfflineHookEvent,
} from './hook-event.js';
