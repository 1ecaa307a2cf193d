import type { ChannelEvent } from './channel-event.js';
import type { Clock } from './clock.js';
import type { Handshake } from './connection.js';
import type { Entropy } from './entropy.js';
import type { Authenticator } from './identity.js';
import type { EngineLogger } from './logger.js';
import type { MaybePromise } from './maybe-promise.js';
import type { ObservedCommand, Observer, Outcome } from './observer.js';
import type { RealtimeConnection } from './realtime-connection.js';

/**
 * Trace, span and flags of a W3C `traceparent` of version 00, the only one there is: of a later one nobody knows what its length means.
 * Ids of zeros alone are none.
 */
export const TRACEPARENT = /^00-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})$/;

/** A piece of work that is traced until it ends. */
export interface OpenSpan {
  /** @param failure the code of what went wrong; `undefined` for nothing. */
  end(failure?: string): void;
}

/** A command of a client, as it came. */
export interface TracedCommand {
  readonly type: ObservedCommand['type'];
  readonly channel?: string | undefined;
  /** The `traceparent` that the client sent. */
  readonly trace?: string | undefined;
}

/** A command that is traced until its answer. */
export interface CommandSpan {
  /** @param outcome that observers are notified of. */
  end(outcome: Outcome | 'closed'): void;
}

/** Events of one turn that are handed to the sessions of a channel. */
export interface DeliverySpan {
  /** @param sessions how many they were handed to. */
  end(sessions: number): void;
}

/** The time until a subscription is sent its first event. */
export interface FirstEventSpan {
  /** It was sent this event. */
  end(event: ChannelEvent): void;
  /** It ended before. */
  abandon(): void;
}

/** What a tracer is told of the node that it traces. */
export interface TracedNode {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly logger: Pick<EngineLogger, 'warn'>;
}

/** What a tracing is like in this process, for the doctor. */
export interface TracingFacts {
  /** Whether anything makes spans. */
  readonly hasProvider: boolean;
  /** Whether spans of handlers are connected to those of what they call. */
  readonly hasContexts: boolean;
  /** Which share of the traces that begin here is sampled; `undefined` where the sampler does not say. */
  readonly share: number | undefined;
}

/** Makes the tracer of each application that it is given to, e.g. `openTelemetry()` of `nestjs-realtime/tracing`. */
export interface RealtimeTracing {
  /** @internal @returns `undefined` where nothing would be traced. */
  start(node: TracedNode): EngineTracer | undefined;
  /** @internal Makes no span. */
  inspect?(): TracingFacts;
}

/**
 * Follows work through the engine, as spans of a tracer, and lets the application's code run inside of them. An engine without one
 * does nothing of it. What is not sampled has no objects of its own after {@link within}: the methods that return a span return
 * `undefined` then.
 */
export interface EngineTracer {
  /** Notified before all others, so that their work belongs to the command that it is about. */
  readonly observer: Observer;
  /** The clock of its node, whose tasks belong to no command: a timer that one of them arms serves all. */
  readonly clock: Clock;
  /** A task that belongs to no command, whoever has it run. */
  detached(task: () => void): () => void;
  /** An authenticator whose work belongs to the connect, or to the `auth`, that it is for. */
  authenticatorOf(authenticator: Authenticator): Authenticator;
  /** A transport opened a connection. */
  opened(connection: RealtimeConnection, handshake: Handshake): void;
  /**
   * A command begins. Called before the observers are notified, so that what they do is not part of it, and never throws.
   *
   * @param patternOf finds the pattern of a channel's definition.
   * @returns `undefined` for one that is not sampled, where that was decided without a span.
   */
  starting(
    connection: RealtimeConnection,
    command: TracedCommand,
    patternOf: (channel: string) => string | undefined,
  ): CommandSpan | undefined;
  /** Runs the work of a command: what it starts, handlers included, belongs to it. @param span of `starting()`. */
  within<T>(span: CommandSpan | undefined, work: () => T): T;
  /**
   * Calls the application's code for a command.
   *
   * @param kind whether it decides, or does what the command asks for.
   * @param what is called, in words; no name of a client or channel is in it.
   */
  called<T>(kind: 'authorize' | 'handle', what: () => string, work: () => MaybePromise<T>): MaybePromise<T>;
  /** The `trace` of an event that a client publishes now. @param given what the client sent. */
  traceOf(given: string | undefined): string | undefined;
  /**
   * Publishes an event of the application.
   *
   * @param given `trace` that the application gave.
   * @param publish is given the `trace` of the event.
   */
  publishing<T>(
    pattern: string,
    channel: string,
    given: string | undefined,
    publish: (trace: string | undefined) => Promise<T>,
  ): Promise<T>;
  /** An event waits for its place in the log. */
  appending(pattern: string): OpenSpan | undefined;
  /** Events are handed to sessions. Called for each batch of each channel: most have no event that is traced. */
  delivering(pattern: string, channel: string, events: readonly ChannelEvent[]): DeliverySpan | undefined;
  /** A subscription was answered. */
  awaitingFirst(pattern: string): FirstEventSpan | undefined;
}
