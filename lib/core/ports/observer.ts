import type { CloseName } from '../../protocol/close-codes.js';
import type { ClientCommand } from '../../protocol/commands.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import type { GapReason, LostReason, Recovery, TruncationCause } from '../../protocol/position.js';
import type { BrokerState } from './broker.js';
import type { ChannelAction, HandlerCall, OverflowPolicy } from './channel-definition.js';
import type { ControlMessage, ControlReceipt } from './control.js';
import type { SheddingStep } from './overload.js';
import type { RealtimeConnection } from './realtime-connection.js';
import type { ObservedSpam } from './spam.js';
import type { Refusal } from './transport-host.js';

/** How something ended: well, or with the code of the error that its caller gets. */
export type Outcome = 'ok' | ErrorCode;

/**
 * A command that is answered, without its payload: it may be secret (G23). What keeps a connection alive or ends it (`ping`,
 * `pong`, `bye`) is not observed.
 */
export interface ObservedCommand {
  /** Kind of the command. */
  readonly type: Exclude<ClientCommand['type'], 'ping' | 'pong' | 'bye'>;
  /** That of the client. */
  readonly id: string;
  /** Name of the channel, where the command has one. */
  readonly channel: string | undefined;
  /** Pattern of the channel's definition; `undefined` without a channel, and for a name that no `@Channel` matches. */
  readonly pattern: string | undefined;
  /** Name of the event of a `publish`, `signal` or `request`. */
  readonly event: string | undefined;
  /** W3C `traceparent` as the client sent it: any text of at most 256 characters. */
  readonly trace: string | undefined;
}

/** An act of the application against a user: a control record. */
export type AdministrativeAct = Exclude<ControlMessage, { readonly kind: 'supersede' | 'abuse' }> & {
  /** What the moderator calls it, where that is not its kind: a kick is a revoke, or for a time a ban. */
  readonly as?: NamedAct;
};

/** An act that is made of another. */
export type NamedAct = 'kick';

/** What this node does by itself against a connection that keeps exceeding its rates (G16). */
export interface AbuseAct {
  /** `throttle` pauses reading from the connection; `close` ends it with 4807. */
  readonly kind: 'throttle' | 'close';
  /** The one that exceeded its rates. */
  readonly connection: RealtimeConnection;
  /** How long the user, or the address of an anonymous client, is refused afterwards, in milliseconds; 0 for not at all. */
  readonly banMs: number;
}

/** What happened to the circuit of a handler or an authorization (G16). */
export interface ObservedCircuit {
  /** The handler, in words: e.g. `The handler of the publish "said" of rooms.:room`. Few: none has the name of a client or channel in it. */
  readonly handler: string;
  /** `open`: it is not called; `half_open`: one call at a time is; `closed`: it works again. */
  readonly state: 'closed' | 'open' | 'half_open';
  /** Whether it is not called for `all`, or for `one` client whose commands alone kept failing. */
  readonly of: 'all' | 'one';
}

/**
 * What metrics, tracing and an audit are notified of. Every method is optional and called synchronously; durations are in
 * milliseconds of the monotonic clock. What a method throws, or rejects with, is logged once per method and changes nothing.
 *
 * `pattern` is the pattern of the channel's definition, e.g. `rooms.:room`; `''` for a request without a channel.
 */
export interface Observer {
  /** A transport opened a connection; its `hello` has yet to come. */
  onConnectionOpen?(connection: RealtimeConnection): void;
  /**
   * The connection ended, once for each `onConnectionOpen`. `code` is the close code, 1006 when there was none. `by` is who ended it:
   * a code of the client is any that it likes.
   */
  onConnectionClose?(connection: RealtimeConnection, code: number, by: 'node' | 'client'): void;
  /**
   * A client was refused: before a connection opened, with the error code or else the HTTP status of the answer, or at `hello`,
   * with the name of the close code. `request`: a request of a session over HTTP that is open, or was, a body or a poll, with the
   * HTTP status of the answer (P21); a client may cause as many as its rate of frames allows. `ip` is the client's address.
   */
  onRefusal?(
    at: 'upgrade' | 'hello' | 'request',
    reason: CloseName | ErrorCode | Refusal['status'],
    ip: string,
  ): void;
  /** A valid command within its rate begins. The same object is given to `onCommandEnd`. */
  onCommandStart?(connection: RealtimeConnection, command: ObservedCommand): void;
  /** The command was answered, once for each `onCommandStart`; `closed` when the connection ended before that. */
  onCommandEnd?(
    connection: RealtimeConnection,
    command: ObservedCommand,
    outcome: Outcome | 'closed',
    durationMs: number,
  ): void;
  /** A command exceeded the rate of its connection or user, and was refused or ended the connection. */
  onRateLimit?(connection: RealtimeConnection): void;
  /** A handler of the application decided about an action. Where an action is public or undeclared, nobody is asked. */
  onAuthorization?(
    call: HandlerCall,
    pattern: string,
    action: ChannelAction,
    outcome: Outcome,
    durationMs: number,
  ): void;
  /** A publish was refused as spam. The act that belongs to a step, if any, comes to `onAct` when its receipt is there. */
  onSpam?(spam: ObservedSpam): void;
  /** The circuit of a handler opened, or it is tried again, or has closed. */
  onCircuit?(circuit: ObservedCircuit): void;
  /**
   * The broker answered a publish of a client or the application; `durationMs` is the time that the broker took. A retry that
   * this node answers from its memory does not reach the broker.
   */
  onPublish?(pattern: string, outcome: Outcome | 'duplicate', durationMs: number): void;
  /** The events of one turn were handed to the sessions that are live on a channel; `sessions` is how many there were. */
  onDelivery?(pattern: string, events: number, sessions: number): void;
  /**
   * The same batch, once it was handed over: `waitedMs` is the time since the first of its events came from the broker, with the
   * hand-over itself.
   */
  onDeliveryEnd?(pattern: string, waitedMs: number): void;
  /**
   * A publish of this node was handed to the sockets of this node, `durationMs` after it was appended. A sample: while one is under
   * way no other one is timed.
   */
  onPublishDelivered?(pattern: string, durationMs: number): void;
  /** A signal was handed to `sessions` subscribers; for `dropped` more there was no room. */
  onSignal?(pattern: string, sessions: number, dropped: number): void;
  /** A subscribe was answered with this recovery, and why it is not complete (P11). */
  onSubscribe?(pattern: string, recovery: Recovery, why: LostReason | TruncationCause | undefined): void;
  /** A subscriber is sent the announcement that `events` events do not reach it; `policy` is what the channel does when it is full. */
  onGap?(pattern: string, reason: GapReason, events: number, policy: OverflowPolicy): void;
  /** A subscriber that was behind is live, after it was sent `events` events from the log. */
  onReplay?(pattern: string, events: number, durationMs: number): void;
  /** A channel was compared with its log, as events were missing or of another epoch; `events` were read. */
  onHeal?(pattern: string, events: number, durationMs: number): void;
  /** A subscriber is sent `reset`: the log of its channel has another epoch. */
  onReset?(pattern: string, recovery: Recovery): void;
  /** The broker can be reached again, or no longer. */
  onBrokerState?(state: BrokerState, reason: string | undefined): void;
  /**
   * This node is overloaded and takes a step (`on`), or undoes it (G33). `reason` is the load in words: event loop, memory, queue.
   */
  onOverload?(step: SheddingStep, on: boolean, reason: string): void;
  /** A drain begins, continues (once in 2 s) or ends: so many of `total` connections are left (G18). */
  onDrain?(left: number, total: number): void;
  /**
   * An administrative act, or a step against abuse. `receipt` names the nodes that applied it, of a step against abuse this node:
   * the others are notified of a ban and not waited for. `undefined` when the broker rejected the record with `error`. `durationMs` is
   * the time until then: until all nodes had applied the act, or were not waited for any longer.
   */
  onAct?(
    act: AdministrativeAct | AbuseAct,
    receipt: ControlReceipt | undefined,
    error: unknown,
    durationMs: number,
  ): void;
}
