export {
  repeatsAndBursts,
  type Allowed,
  type RepeatsAndBurstsOptions,
} from '../core/access/spam/repeats-and-bursts.js';
export type { ErasedEvents, EraseReceipt } from '../core/engine/erasure.js';
export type { RestrictionPage } from '../core/access/restrictions.js';
export type { ControlReceipt, LiftReceipt } from '../core/ports/control.js';
export type { RestrictedAct, RestrictedSubject, Restriction } from '../core/ports/moderation.js';
export type {
  ModerationHandle,
  RestrictionsFilter,
  RestrictOptions,
  Whom,
} from '../nest/moderation-handle.js';
export type { ObservedSpam, SpamContext, SpamDetector, SpamVerdict } from '../core/ports/spam.js';
export type { RealtimeSpamOptions, RealtimeSpamStep } from '../nest/realtime-options.js';
