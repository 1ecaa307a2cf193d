/**
 * What the author of a broker needs: the port and every type in its signatures. Two of them are classes that a broker
 * makes itself: a {@link ChannelEvent} for each event that it reads or pushes, and a {@link RealtimeError} of code
 * `unavailable` or `timeout` for a call that fails.
 *
 * A broker is right when `describeBrokerContract` of `nestjs-realtime/broker/contract` passes for it. What it cannot
 * promise it declares in its {@link BrokerCapabilities}; a channel that asks for more is refused at boot.
 *
 * @example
 * import { ChannelEvent, RealtimeError, type Broker } from 'nestjs-realtime/broker';
 *
 * export class MyBroker implements Broker {
 *   readonly name = 'mine';
 *   readonly capabilities = { durability: 'broker', dedupes: true, presence: true } as const;
 *   readonly log = new MyLog();
 *   readonly presence = new MyPresence();
 *   readonly bus = new MyBus();
 *   // …
 * }
 */
export type {
  AppendOutcome,
  AppendRequest,
  Broker,
  BrokerBus,
  BrokerCapabilities,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
  BrokerState,
  Durability,
  LogPolicy,
  PresenceEntry,
  ReadRequest,
  ReadResult,
  SignalMessage,
  StorageWeakness,
} from '../core/ports/broker.js';
export type { BrokerTransitions, HeldThing, Hold, Transition } from '../core/ports/transitions.js';
export { ChannelEvent, type ChannelEventFields, type EventDraft } from '../core/ports/channel-event.js';
export type { ControlMessage, ControlReceipt } from '../core/ports/control.js';
export type { MaybePromise } from '../core/ports/maybe-promise.js';
export type { PresenceDiff, PresenceMember, PresencePage } from '../protocol/messages.js';
export type { Position } from '../protocol/position.js';
export type { ErrorCode } from '../protocol/error-codes.js';
export { RealtimeError } from '../protocol/realtime-error.js';
export { readWireValue, toWireValue } from '../protocol/wire-value.js';
