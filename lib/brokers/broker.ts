/**
 * What an author of a broker needs: the port, the types in its signatures, and nothing that a broker could lean on by
 * accident. A broker is right when `describeBrokerContract` of `test/contract/broker` passes for it unchanged; what it
 * cannot promise it says in {@link BrokerCapabilities}, and a channel that asks for more is refused at boot.
 *
 * @example
 * export class MyBroker implements Broker {
 *   readonly name = 'mine';
 *   readonly capabilities = { durability: 'broker', dedupes: true, denseSeq: true, presence: false } as const;
 *   // …
 * }
 */
export type {
  AppendOutcome,
  AppendRequest,
  Broker,
  BrokerCapabilities,
  BrokerListener,
  BrokerPresence,
  BrokerState,
  Durability,
  LogPolicy,
  PresenceEntry,
  ReadRequest,
  ReadResult,
  SignalMessage,
} from '../core/ports/broker.js';
export { ChannelEvent, type ChannelEventFields, type EventDraft } from '../core/channel/channel-event.js';
export { systemClock, type Clock, type Scheduled } from '../core/ports/clock.js';
export type { ControlMessage, ControlReceipt } from '../core/ports/control.js';
export { systemEntropy, type Entropy } from '../core/ports/entropy.js';
export type { MaybePromise } from '../core/ports/maybe-promise.js';
export type { PresenceDiff, PresenceMember, PresencePage } from '../protocol/messages.js';
export type { Position } from '../protocol/position.js';
export { RealtimeError } from '../protocol/realtime-error.js';
