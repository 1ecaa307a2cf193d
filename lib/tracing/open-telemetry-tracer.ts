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
import type { Observer } from '../core/ports/observer.js';
import type { RealtimeConnection } from '../core/ports/realtime-connection.js';
import type {
  CommandSpan,
  DeliverySpan,
  EngineTracer,
  FirstEventSpan,
  OpenSpan,
  TracedCommand,
  TracedNode,
} from '../core/ports/tracer.js';
import { Connects } from './connects.js';
import type { TracingSettings } from './options.js';
import { hasNoContext, RootSampling, UNSAMPLED, unsampled } from './root-sampling.js';
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
  private readonly roots: RootSampling;
  private readonly connects: Connects;
  private readonly firsts = new Set<FirstEvent>();
  private hasFailed = false;

  constructor(
    private readonly tracer: Tracer,
    private readonly node: TracedNode,
    private readonly settings: TracingSettings,
  ) {
    const { clock } = node;
    this.clock = {
      // eslint-disable-next-line no-restricted-syntax -- handed on as it is
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      schedule: (delayMs, task) =>
        hasNoContext()
          ? clock.schedule(delayMs, task)
          : context.with(ROOT_CONTEXT, () => clock.schedule(delayMs, task)),
    };
    this.roots = new RootSampling(settings.sampleRatio, node.entropy);
    this.connects = new Connects(tracer, clock, settings, this.roots);
    this.observer = {
      onConnectionClose: (connection, code) => this.connects.end(connection, `close_${code}`),
    };
  }

  detached(task: () => void): () => void {
    return () => {
      if (hasNoContext()) task();
      else context.with(ROOT_CONTEXT, task);
    };
  }

  authenticatorOf(authenticator: Authenticator): Authenticator {
    return {
      authenticate: (credentials) => {
        const { handshake, via } = credentials;
        const verify = (): MaybePromise<Authentication> => authenticator.authenticate(credentials);
        const belongsTo = this.connects.verifying(handshake);
        const isOffered =
          belongsTo === undefined ? this.roots.begins() : this.roots.continues(belongsTo.spanContext());
        if (!isOffered) return unsampled(verify);
        const parent = belongsTo === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, belongsTo);
        const span = this.tracer.startSpan(
          'authenticate',
          { attributes: { 'realtime.credentials': via } },
          parent,
        );
        const refused = (code: string): void => this.connects.refused(handshake, code);
        return context.with(trace.setSpan(parent, span), () => ending(span, verify, refused));
      },
    };
  }

  opened(connection: RealtimeConnection, handshake: Handshake): void {
    this.connects.opened(connection, handshake);
  }

  starting(
    connection: RealtimeConnection,
    command: TracedCommand,
    patternOf: (channel: string) => string | undefined,
  ): CommandSpan | undefined {
    try {
      return command.type === 'hello'
        ? this.greeted(connection, command)
        : this.start(connection, command, patternOf);
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  within<T>(command: CommandSpan | undefined, work: () => T): T {
    if (command instanceof OpenCommand) return context.with(trace.setSpan(ROOT_CONTEXT, command.span), work);
    return this.roots.hasRatio ? unsampled(work) : work();
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
    const active = context.active();
    const continued = parseTraceparent(given);
    const before = continued ?? trace.getSpanContext(active);
    if (!(before === undefined ? this.roots.begins() : this.roots.continues(before)))
      return tracedWork() === undefined ? publish(given) : unsampled(() => publish(given));
    const parent = continued === undefined ? active : trace.setSpanContext(active, continued);
    const span = this.tracer.startSpan(
      nameOf('publish', pattern),
      {
        kind: SpanKind.PRODUCER,
        attributes: messaging('publish', { pattern, channel }, this.settings),
      },
      parent,
    );
    const own = span.spanContext();
    // Nothing below asks what it belongs to, but whether that is sampled.
    if (!isSampled(own.traceFlags) && tracedWork() === undefined) return publish(given);
    const within = trace.setSpan(parent, span);
    if (!isSampled(own.traceFlags)) return context.with(within, publish, undefined, given);
    const published = (): Promise<T> => publish(formatTraceparent(own));
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

  /** A sampler or a processor of the application threw: its command is carried out all the same. */
  private readonly failed = (error: unknown): void => {
    if (!this.hasFailed)
      this.node.logger.warn(`OpenTelemetry failed; further failures of it are not logged: ${String(error)}`);
    this.hasFailed = true;
  };

  private greeted(connection: RealtimeConnection, { trace: sent }: TracedCommand): CommandSpan | undefined {
    const connect = this.connects.spanOf(connection);
    if (connect === undefined || connect === UNSAMPLED) return undefined;
    // A browser sends no header with a WebSocket, and the span has begun.
    const peer = this.settings.clients === 'ignore' ? undefined : parseTraceparent(sent);
    if (peer !== undefined) connect.addLinks(linksTo(peer));
    return new OpenCommand(connect, this.failed, (failure) => this.connects.end(connection, failure));
  }

  private start(
    connection: RealtimeConnection,
    { type, channel, trace: sent }: TracedCommand,
    patternOf: (channel: string) => string | undefined,
  ): CommandSpan | undefined {
    const place = this.connects.placeOf(connection, sent);
    if (place === undefined) {
      if (type === 'auth') this.connects.beginAuth(connection, UNSAMPLED);
      return undefined;
    }
    const { parent, links } = place;
    const pattern = channel === undefined ? undefined : patternOf(channel);
    const attributes = messaging(type, { pattern, channel }, this.settings);
    attributes['realtime.connection.id'] = connection.id;
    const { user } = connection.about;
    if (this.settings.userIds && user !== undefined) attributes['user.id'] = user;
    // A publish is the parent of deliveries, which are its consumers.
    const kind = type === 'publish' ? SpanKind.PRODUCER : SpanKind.SERVER;
    const span = this.tracer.startSpan(nameOf(type, pattern), { kind, links, attributes }, parent);
    if (type !== 'auth') return new OpenCommand(span, this.failed);
    this.connects.beginAuth(connection, span);
    return new OpenCommand(span, this.failed, (failure) => {
      this.connects.beginAuth(connection, undefined);
      endSpan(span, failure);
    });
  }
}

/** A command until its answer. */
class OpenCommand implements CommandSpan {
  /** @param ended ends the span, where there is more to do. */
  constructor(
    readonly span: Span,
    private readonly failed: (error: unknown) => void,
    private readonly ended?: (failure: string | undefined) => void,
  ) {}

  end(outcome: string): void {
    const failure = outcome === 'ok' ? undefined : outcome;
    try {
      if (this.ended === undefined) endSpan(this.span, failure);
      else this.ended(failure);
    } catch (error) {
      this.failed(error);
    }
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
