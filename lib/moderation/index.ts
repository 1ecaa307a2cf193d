export type { ErasedEvents, EraseReceipt } from '../core/engine/erasure.js';
export type { RestrictionPage } from '../core/access/restrictions.js';
export type { RestrictedAct, RestrictedSubject, Restriction } from '../core/ports/moderation.js';
export type {
  ModerationHandle,
  RestrictionsFilter,
  RestrictOptions,
  Whom,
} from '../nest/moderation-handle.js';
