import type { ExecutionContext } from '@nestjs/common';
import type { ChannelAction, ChannelParams, HandlerCall } from '../../core/ports/channel-definition.js';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';
import type { RealtimeIdentity } from '../../core/ports/identity.js';

/** Why a handler runs: a client's command, or an event in the life of a connection or subscription. */
export type RealtimeAction = ChannelAction | 'connect' | 'snapshot' | 'subscribed' | 'unsubscribed';

/**
 * What guards, interceptors, pipes and policies can know about the call.
 *
 * Guards, interceptors and filters get Nest's `ExecutionContext` with type `'ws'`, whose arguments are the connection,
 * the payload, this object and the pattern (the event, or `realtime.<action>` where there is none).
 *
 * @example
 * @Injectable()
 * export class AuditInterceptor implements NestInterceptor {
 *   intercept(context: ExecutionContext, next: CallHandler) {
 *     const realtime = RealtimeContext.from(context); // undefined on HTTP and on other gateways
 *     return next.handle().pipe(tap(() => this.audit(realtime?.action, realtime?.channel)));
 *   }
 * }
 */
export class RealtimeContext implements HandlerCall {
  constructor(
    /** Why the handler, guard or policy was called. */
    readonly action: RealtimeAction,
    private readonly call: HandlerCall,
  ) {}

  /** The context of a call by this library; `undefined` on HTTP and on other gateways. */
  static from(context: ExecutionContext): RealtimeContext | undefined {
    const candidate: unknown = context.getArgByIndex(2);
    return candidate instanceof RealtimeContext ? candidate : undefined;
  }

  /** The client's connection, for `data`, address and headers. */
  get connection(): RealtimeConnection {
    return this.call.connection;
  }

  /** The verified identity, frozen, whatever a guard put on `connection.user`; `undefined` for an anonymous client. */
  get user(): RealtimeIdentity | undefined {
    return this.call.user;
  }

  /** Name of the channel; empty at `connect` and for a request without a channel. */
  get channel(): string {
    return this.call.channel;
  }

  /** Parameters of the channel's pattern, with their values from the name. */
  get params(): ChannelParams {
    return this.call.params;
  }

  /** Id of the client's command; for a publish, its idempotency key (G4). */
  get id(): string {
    return this.call.id;
  }

  /** Name of the event; empty where the command has none. */
  get event(): string {
    return this.call.event;
  }

  /** Payload of the command, as the client sent it; for a subscribe, its `params`. */
  get payload(): unknown {
    return this.call.payload;
  }

  /** W3C `traceparent` of the client, for a span to continue. */
  get trace(): string | undefined {
    return this.call.trace;
  }

  /** Further fields of the client's envelope. */
  get meta(): Readonly<Record<string, unknown>> | undefined {
    return this.call.meta;
  }

  /** Conflation key of a publish. */
  get key(): string | undefined {
    return this.call.key;
  }

  /** Of a publish, milliseconds after which its delivery is pointless. */
  get ttl(): number | undefined {
    return this.call.ttl;
  }

  /** What Nest calls the pattern of the message. */
  get pattern(): string {
    return this.call.event === '' ? `realtime.${this.action}` : this.call.event;
  }
}
