import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  trace,
  type Link,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import type { ChannelEvent } from '../core/ports/channel-event.js';
import type { Clock } from '../core/ports/clock.js';
import type { Handshake } from '../core/ports/connection.js';
import type { Authentication, Authenticator } from '../core/ports/identity.js';
import type { MaybePromise } from '../core/ports/maybe-promise.js';
import type { ObservedCommand, Observer } from '../core/ports/observer.js';
import type { RealtimeConnection } from '../core/ports/realtime-connection.js';
import type {
  DeliverySpan,
  EngineTracer,
  FirstEventSpan,
  OpenSpan,
  TracedNode,
} from '../core/ports/tracer.js';
import { Connects } from './connects.js';
import type { TracingSettings } from './options.js';
import { ending, endSpan, linksTo, messaging, nameOf } from './spans.js';
import { formatTraceparent, isSampled, parseTraceparent } from './traceparent.js';

/** Most publishes that the span of a delivery names beside its parent. */
const MAX_LINKS = 32;
/** Most subscriptions whose first event is waited for: what never comes must not be kept for ever. */
const MAX_FIRSTS = 1_024;

/** Traces one engine with OpenTelemetry. */
export class OpenTelemetryTracer implements EngineTracer {
  readonly observer: Observer;
  readonly clock: Clock;
  private readonly connects: Connects;
  /** Of commands until their answer, which each has. A weak map would make each collection look at all of them. */
  private readonly commands = new Map<ObservedCommand, Span>();
  private readonly firsts = new Set<FirstEvent>();

  constructor(
    private readonly tracer: Tracer,
    private readonly node: Pick<TracedNode, 'nodeId' | 'clock'>,
    private readonly settings: TracingSettings,
  ) {
    const { clock } = node;
    this.clock = {
      // eslint-disable-next-line no-restricted-syntax -- handed on as it is
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      schedule: (delayMs, task) => context.with(ROOT_CONTEXT, () => clock.schedule(delayMs, task)),
    };
    this.connects = new Connects(tracer, clock, settings);
    this.observer = {
      onCommandStart: (connection, command) => this.start(connection, command),
      onCommandEnd: (connection, command, outcome) => this.end(connection, command, outcome),
      onConnectionClose: (connection, code) => this.connects.end(connection, `close_${code}`),
    };
  }

  detached(task: () => void): () => void {
    return () => context.with(ROOT_CONTEXT, task);
  }

  authenticatorOf(authenticator: Authenticator): Authenticator {
    return {
      authenticate: (credentials) => {
        const { handshake, via } = credentials;
        const belongsTo = this.connects.verifying(handshake);
        const parent = belongsTo === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, belongsTo);
        const span = this.tracer.startSpan(
          'authenticate',
          { attributes: { 'realtime.credentials': via } },
          parent,
        );
        const verify = (): MaybePromise<Authentication> => authenticator.authenticate(credentials);
        const refused = (code: string): void => this.connects.refused(handshake, code);
        return context.with(trace.setSpan(parent, span), () => ending(span, verify, refused));
      },
    };
  }

  opened(connection: RealtimeConnection, handshake: Handshake): void {
    this.connects.opened(connection, handshake);
  }

  within<T>(command: ObservedCommand, work: () => T): T {
    const span = this.commands.get(command);
    return span === undefined ? work() : context.with(trace.setSpan(ROOT_CONTEXT, span), work);
  }

  called<T>(kind: 'authorize' | 'handle', what: () => string, work: () => MaybePromise<T>): MaybePromise<T> {
    if (tracedWork() === undefined) return work();
    const span = this.tracer.startSpan(kind, { attributes: { 'realtime.handler': what() } });
    return context.with(trace.setSpan(context.active(), span), () => ending(span, work));
  }

  traceOf(given: string | undefined): string | undefined {
    const publish = tracedWork();
    if (publish !== undefined) return formatTraceparent(publish);
    // Handed on, but no other node shall record what this one did not.
    const sent = parseTraceparent(given);
    return sent === undefined ? given : formatTraceparent({ ...sent, traceFlags: 0 });
  }

  publishing<T>(
    pattern: string,
    channel: string,
    given: string | undefined,
    publish: (trace: string | undefined) => Promise<T>,
  ): Promise<T> {
    const continued = parseTraceparent(given);
    const parent =
      continued === undefined ? context.active() : trace.setSpanContext(context.active(), continued);
    const span = this.tracer.startSpan(
      nameOf('publish', pattern),
      {
        kind: SpanKind.PRODUCER,
        attributes: messaging('publish', { pattern, channel }, this.settings),
      },
      parent,
    );
    const within = trace.setSpan(parent, span);
    if (!isSampled(span.spanContext().traceFlags)) return context.with(within, publish, undefined, given);
    const published = (): Promise<T> => publish(formatTraceparent(span.spanContext()));
    return context.with(within, () => ending(span, published) as Promise<T>);
  }

  appending(pattern: string): OpenSpan | undefined {
    if (tracedWork() === undefined) return undefined;
    const { nodeId } = this.node;
    const attributes = { 'messaging.destination.template': pattern, 'realtime.node.id': nodeId };
    const span = this.tracer.startSpan(nameOf('append', pattern), { attributes });
    return { end: (failure) => endSpan(span, failure) };
  }

  delivering(pattern: string, channel: string, events: readonly ChannelEvent[]): DeliverySpan | undefined {
    let parent: SpanContext | undefined;
    let links: Link[] | undefined;
    for (const event of events) {
      if (event.trace === undefined) continue;
      const publish = parseTraceparent(event.trace);
      if (publish === undefined || !isSampled(publish.traceFlags)) continue;
      if (parent === undefined) parent = publish;
      else if ((links ??= []).length < MAX_LINKS) links.push({ context: publish });
    }
    if (parent === undefined) return undefined;
    const span = this.tracer.startSpan(
      nameOf('deliver', pattern),
      {
        kind: SpanKind.CONSUMER,
        links: links ?? [],
        attributes: {
          ...messaging('deliver', { pattern, channel }, this.settings),
          'messaging.batch.message_count': events.length,
          'realtime.node.id': this.node.nodeId,
        },
      },
      trace.setSpanContext(ROOT_CONTEXT, parent),
    );
    return {
      end: (sessions) => {
        span.setAttribute('realtime.sessions', sessions);
        span.end();
      },
    };
  }

  awaitingFirst(pattern: string): FirstEventSpan | undefined {
    if (tracedWork() === undefined) return undefined;
    const [oldest] = this.firsts;
    if (this.firsts.size >= MAX_FIRSTS && oldest !== undefined) this.firsts.delete(oldest);
    const attributes = { 'messaging.destination.template': pattern, 'realtime.node.id': this.node.nodeId };
    const span = this.tracer.startSpan(nameOf('first_message', pattern), { attributes });
    const first = new FirstEvent(span, this.firsts);
    this.firsts.add(first);
    return first;
  }

  private start(connection: RealtimeConnection, command: ObservedCommand): void {
    const { type, pattern, channel } = command;
    if (type === 'hello') {
      const connect = this.connects.spanOf(connection);
      if (connect === undefined) return;
      // A browser sends no header with a WebSocket, and the span has begun.
      const sent = this.settings.clients === 'ignore' ? undefined : parseTraceparent(command.trace);
      if (sent !== undefined) connect.addLinks(linksTo(sent));
      this.commands.set(command, connect);
      return;
    }
    const { parent, links } = this.connects.placeOf(connection, command.trace);
    const { user } = connection.about;
    const attributes = messaging(type, { pattern, channel }, this.settings);
    attributes['realtime.connection.id'] = connection.id;
    if (this.settings.userIds && user !== undefined) attributes['user.id'] = user;
    // A publish is the parent of deliveries, which are its consumers.
    const kind = type === 'publish' ? SpanKind.PRODUCER : SpanKind.SERVER;
    const span = this.tracer.startSpan(nameOf(type, pattern), { kind, links, attributes }, parent);
    this.commands.set(command, span);
    if (type === 'auth') this.connects.beginAuth(connection, span);
  }

  private end(connection: RealtimeConnection, command: ObservedCommand, outcome: string): void {
    const failure = outcome === 'ok' ? undefined : outcome;
    const span = this.commands.get(command);
    this.commands.delete(command);
    if (command.type === 'hello') return this.connects.end(connection, failure);
    if (command.type === 'auth') this.connects.beginAuth(connection, undefined);
    if (span !== undefined) endSpan(span, failure);
  }
}

/** Waits for the first event of one subscription, as long as it is among those that are waited for. */
class FirstEvent implements FirstEventSpan {
  constructor(
    private readonly span: Span,
    private readonly waiting: Set<FirstEvent>,
  ) {}

  end({ trace: sent }: ChannelEvent): void {
    if (!this.waiting.delete(this)) return;
    const publish = parseTraceparent(sent);
    if (publish !== undefined) this.span.addLinks(linksTo(publish));
    this.span.end();
  }

  abandon(): void {
    if (this.waiting.delete(this)) endSpan(this.span, 'closed');
  }
}

/** The span that the work of this moment belongs to, where it is sampled; it may have ended, as that of a command that was answered. */
function tracedWork(): SpanContext | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  return span !== undefined && isSampled(span.traceFlags) ? span : undefined;
}
