import {
  ROOT_CONTEXT,
  SpanKind,
  trace,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import type { Clock } from '../core/ports/clock.js';
import type { Handshake } from '../core/ports/connection.js';
import type { RealtimeConnection } from '../core/ports/realtime-connection.js';
import type { TracingSettings } from './options.js';
import { UNSAMPLED, type RootSampling } from './root-sampling.js';
import { endSpan, linksTo } from './spans.js';
import { parseTraceparent } from './traceparent.js';

/** How long after its connect began a command belongs to the trace of it, in milliseconds: what a page does as it starts. */
const START_MS = 10_000;

/** One connect, from the first that this server does for it to its `welcome`, and what is known of it afterwards. */
interface Connect {
  /** `undefined` where it was not offered to the tracer. */
  readonly context: SpanContext | undefined;
  readonly startedAt: number;
  /** Its page has started: not asked of the clock for each command. */
  isOld?: boolean;
  /** Until it ends. */
  span: Span | undefined;
  isOpen?: boolean;
  /** The `auth` that is under way. */
  auth?: Span | undefined;
}

/** Where a span has its place. */
export interface Place {
  readonly parent: Context;
  readonly links: ReturnType<typeof linksTo>;
}

/** The spans of connects, by the handshake before there is a connection. Nothing of them outlives its connection. */
export class Connects {
  private readonly byHandshake = new WeakMap<Handshake, Connect>();
  private readonly byConnection = new WeakMap<RealtimeConnection, Connect>();

  constructor(
    private readonly tracer: Tracer,
    private readonly clock: Clock,
    private readonly settings: TracingSettings,
    private readonly roots: RootSampling,
  ) {}

  opened(connection: RealtimeConnection, handshake: Handshake): void {
    const connect = this.of(handshake);
    connect.isOpen = true;
    connect.span?.setAttribute('realtime.connection.id', connection.id);
    this.byConnection.set(connection, connect);
  }

  /** The span of a connect that has not ended. */
  spanOf(connection: RealtimeConnection): Span | undefined {
    return this.byConnection.get(connection)?.span;
  }

  /** The span that a verification of credentials belongs to: the connect, or the `auth` that is under way. */
  verifying(handshake: Handshake): Span | undefined {
    const connect = this.of(handshake);
    return connect.auth ?? connect.span;
  }

  beginAuth(connection: RealtimeConnection, span: Span | undefined): void {
    const connect = this.byConnection.get(connection);
    if (connect !== undefined) connect.auth = span;
  }

  /** Credentials were refused. Those of a connection that is open end its connect by the answer to their `hello`. */
  refused(handshake: Handshake, code: string): void {
    const connect = this.byHandshake.get(handshake);
    if (connect !== undefined && connect.isOpen !== true) this.endSpan(connect, code);
  }

  end(connection: RealtimeConnection, failure: string | undefined): void {
    const connect = this.byConnection.get(connection);
    if (connect === undefined) return;
    const { user } = connection.about;
    if (this.settings.userIds && user !== undefined) connect.span?.setAttribute('user.id', user);
    this.endSpan(connect, failure);
  }

  /**
   * The place of a command.
   *
   * @param sent the `traceparent` that its client sent.
   * @returns `undefined` for one that is not offered to the tracer.
   */
  placeOf(connection: RealtimeConnection, sent: string | undefined): Place | undefined {
    const { clients } = this.settings;
    const connect = this.byConnection.get(connection);
    const parent = clients === 'parent' ? parseTraceparent(sent) : undefined;
    if (parent !== undefined)
      return this.roots.continues(parent) ? placeUnder(parent, linksTo(connect?.context)) : undefined;
    const isRoot = connect === undefined || this.isOld(connect);
    const isOffered = isRoot ? this.roots.begins() : this.continues(connect.context);
    if (!isOffered) return undefined;
    // Read behind the decision: most are not sampled.
    const peer = clients === 'link' ? parseTraceparent(sent) : undefined;
    if (isRoot || connect.context === undefined)
      return { parent: ROOT_CONTEXT, links: linksTo(connect?.context, peer) };
    return placeUnder(connect.context, linksTo(peer));
  }

  private isOld(connect: Connect): boolean {
    return (connect.isOld ??= this.clock.monotonic() - connect.startedAt > START_MS || undefined) === true;
  }

  private continues(parent: SpanContext | undefined): boolean {
    return parent !== undefined && this.roots.continues(parent);
  }

  private endSpan(connect: Connect, failure: string | undefined): void {
    if (connect.span !== undefined) endSpan(connect.span, failure);
    connect.span = undefined;
  }

  private of(handshake: Handshake): Connect {
    const known = this.byHandshake.get(handshake);
    if (known !== undefined) return known;
    const { clients } = this.settings;
    const remote = clients === 'ignore' ? undefined : parseTraceparent(handshake.headers.traceparent);
    const isParent = remote !== undefined && clients === 'parent';
    const startedAt = this.clock.monotonic();
    if (!(isParent ? this.roots.continues(remote) : this.roots.begins())) {
      const connect = { span: UNSAMPLED, context: undefined, startedAt };
      this.byHandshake.set(handshake, connect);
      return connect;
    }
    const span = this.tracer.startSpan(
      'connect',
      {
        kind: SpanKind.SERVER,
        attributes: { 'realtime.transport': handshake.transport },
        links: isParent ? [] : linksTo(remote),
      },
      isParent ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT,
    );
    const connect = { span, context: span.spanContext(), startedAt };
    this.byHandshake.set(handshake, connect);
    return connect;
  }
}

function placeUnder(parent: SpanContext, links: Place['links']): Place {
  return { parent: trace.setSpanContext(ROOT_CONTEXT, parent), links };
}
