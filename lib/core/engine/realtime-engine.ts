import type { CloseName } from '../../protocol/close-codes.js';
import { MAX_EVENT_LENGTH, MAX_ID_LENGTH } from '../../protocol/envelope.js';
import type { HistoryResult, PresencePage, PublishResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { ConnectionRequest } from '../ports/channel-definition.js';
import { readHistory, type HistoryQuery } from '../commands/history.js';
import { fingerprintOf, writable } from '../commands/publish.js';
import { recheckAll } from '../commands/recheck.js';
import type { BrokerListener, BrokerState, LogPolicy } from '../ports/broker.js';
import type { ControlMessage, ControlReceipt } from '../ports/control.js';
import { rejected, type MaybePromise } from '../ports/maybe-promise.js';
import type { Opening, Refusal } from '../ports/transport-host.js';
import type { Connection, ConnectionHandler, Handshake } from '../ports/connection.js';
import type { Authentication, Credentials } from '../ports/identity.js';
import { Session } from '../session/session.js';
import { applyControl } from './control-applier.js';
import { drainSessions } from './drain.js';
import type {
  ApplicationPublishOptions,
  ConnectionListener,
  EngineApi,
  EngineStatus,
  SessionInfo,
} from './api.js';
import { composeEngine, type ComposedEngine } from './composition.js';
import type { EngineOptions } from '../ports/settings.js';

/** Advice to a client that was refused for lack of room, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
const NO_OPTIONS: ApplicationPublishOptions = {};

/**
 * One realtime server without its edges: sessions, logs and the hub between them. Transports bring sessions in, the
 * broker holds the logs, the application's code comes as channel definitions. Nothing is shared between engines.
 *
 * @throws RangeError from the constructor, for patterns that overlap or a channel that asks for more than the broker declares.
 */
export class RealtimeEngine implements EngineApi {
  readonly maxFrameBytes: number;
  private readonly composed: ComposedEngine;
  private started = false;
  /** Whether the broker was asked to start: one that failed half-way has to let go as well. */
  private opened = false;
  private stopping: Promise<void> | undefined;
  /** Who is responsible for ids of the application (P15). */
  private readonly producer: string;
  /** Policies of logs, as they are for an event whose id is not remembered. */
  private readonly forgetfulPolicies = new WeakMap<LogPolicy, LogPolicy>();
  private broker: BrokerState = 'up';

  constructor(private readonly options: EngineOptions) {
    this.composed = composeEngine(options);
    this.maxFrameBytes = options.settings.limits.maxFrameBytes;
    this.producer = `a:${options.settings.applicationName}`;
  }

  async start(): Promise<void> {
    const { context } = this.composed;
    const listener: BrokerListener = {
      onEvents: (channel, events) => context.hub.onEvents(channel, events),
      onSignal: (channel, signal) => context.hub.onSignal(channel, signal),
      onPresence: (channel, diff) => context.hub.onPresence(channel, diff),
      onControl: (message) => applyControl(context, message),
      onControlCurrent: (forMs) => context.revokeView.prove(forMs),
      onControlLost: () => recheckAll(context),
      onState: (state, reason) => this.onBrokerState(state, reason),
    };
    this.opened = true;
    await this.options.broker.start(listener, this.options.settings.nodeId);
    if (this.stopping !== undefined) return;
    context.presence.start();
    this.started = true;
  }

  beginDrain(): void {
    this.composed.context.draining = true;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.beginDrain();
    await drainSessions(this.composed.context, deadlineMs);
  }

  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  get status(): EngineStatus {
    const { sessions, hub, revokeView } = this.composed.context;
    return {
      started: this.started,
      draining: this.composed.context.draining,
      broker: this.broker,
      withholding: revokeView.isStale,
      sessions: sessions.size,
      channels: hub.size,
    };
  }

  probe(timeoutMs: number): Promise<number> {
    return this.options.broker.probe(timeoutMs);
  }

  admit(handshake: Handshake): Refusal | undefined {
    const { sessions, settings, addressBans, clock } = this.composed.context;
    if (!this.started || this.composed.context.draining) {
      return { status: 503, message: 'This node is not taking connections', retryAfterMs: RETRY_AFTER_MS };
    }
    const now = clock.now();
    const ban = addressBans.find(handshake.ip, now);
    if (ban !== undefined) {
      const wait = Number.isFinite(ban.until) ? { retryAfterMs: ban.until - now } : {};
      return { status: 403, message: 'This address is banned', code: 'banned', ...wait };
    }
    if (sessions.size >= settings.limits.maxConnections) {
      return { status: 503, message: 'This node is full', retryAfterMs: RETRY_AFTER_MS };
    }
    if (sessions.connectionsOf(handshake.ip) >= settings.limits.maxConnectionsPerAddress) {
      return { status: 429, message: 'Too many connections from this address', retryAfterMs: RETRY_AFTER_MS };
    }
    return undefined;
  }

  authenticate(credentials: Credentials): MaybePromise<Authentication> {
    return this.options.authenticator.authenticate(credentials);
  }

  open(connection: Connection, opening: Opening): ConnectionHandler {
    const session = new Session(this.composed.context, connection, opening);
    // Whoever was admitted before may be one too many, or banned, by the time that the upgrade is authenticated.
    const refusal = this.admit(connection.handshake);
    this.composed.context.sessions.add(session);
    if (refusal !== undefined) session.close(this.closeOf(refusal), refusal.retryAfterMs);
    return session;
  }

  /** Not `async`: at a thousand publishes a turn its promises and frames were a third of what was collected. */
  publish(
    channel: string,
    event: string,
    payload: unknown,
    options: ApplicationPublishOptions = NO_OPTIONS,
  ): Promise<PublishResult> {
    try {
      return this.append(channel, event, payload, options);
    } catch (error) {
      return rejected(error);
    }
  }

  private append(
    channel: string,
    event: string,
    payload: unknown,
    options: ApplicationPublishOptions,
  ): Promise<PublishResult> {
    const { channels, entropy, appends, hub } = this.composed.context;
    const { log } = (hub.find(channel) ?? channels.resolve(channel)).definition.policy;
    const id = options.id ?? entropy.id();
    if (id.length < 1 || id.length > MAX_ID_LENGTH) {
      throw new RealtimeError('bad_request', `The id of a publish has 1 to ${MAX_ID_LENGTH} characters`);
    }
    if (event.length < 1 || event.length > MAX_EVENT_LENGTH) {
      throw new RealtimeError('bad_request', `The name of an event has 1 to ${MAX_EVENT_LENGTH} characters`);
    }
    return appends.append({
      channel,
      producer: this.producer,
      fingerprint:
        options.id === undefined
          ? writable(payload, options.meta)
          : fingerprintOf(event, options.meta === undefined ? payload : [payload, options.meta]),
      // An id that was made here is never sent again, so nothing is gained by remembering it.
      policy: options.id === undefined ? this.forgetful(log) : log,
      event: {
        id,
        event,
        payload,
        user: options.user,
        key: options.key,
        ttl: options.ttlMs,
        trace: options.trace,
        meta: options.meta,
      },
    });
  }

  private forgetful(log: LogPolicy): LogPolicy {
    let policy = this.forgetfulPolicies.get(log);
    if (policy === undefined) this.forgetfulPolicies.set(log, (policy = { ...log, dedupeMs: 0 }));
    return policy;
  }

  async signal(channel: string, event: string, payload: unknown, user?: string): Promise<void> {
    this.composed.context.channels.resolve(channel);
    fingerprintOf(event, payload);
    await this.options.broker.signal(channel, { event, payload, user });
  }

  async history(channel: string, query: HistoryQuery = {}): Promise<HistoryResult> {
    const { channels, broker, clock } = this.composed.context;
    channels.resolve(channel);
    return await readHistory(broker, channel, query, clock.now());
  }

  async members(channel: string, page: { cursor?: string; limit?: number } = {}): Promise<PresencePage> {
    this.composed.context.channels.resolve(channel);
    const { cursor, limit } = page;
    return await this.options.broker.presence.members(channel, {
      limit: Math.min(limit ?? 100, MAX_PAGE),
      ...(cursor === undefined ? {} : { cursor }),
    });
  }

  sessionsOf(user: string): readonly SessionInfo[] {
    const live = this.composed.context.sessions.ofUser(user).filter(({ isLive }) => isLive);
    return live.map((session) => ({
      id: session.id,
      user: session.user,
      ip: session.view.ip,
      transport: session.view.transport,
      connectedAt: session.connectedAt,
      channels: [...session.subscriptions.keys()],
    }));
  }

  disconnect(user: string, reason?: string): Promise<ControlReceipt> {
    return this.control({ kind: 'disconnect', user, reason });
  }

  revoke(user: string, channel?: string, reason?: string): Promise<ControlReceipt> {
    return this.control({ kind: 'revoke', user, channel, reason });
  }

  ban(
    user: string,
    { forMs, reason, by }: { forMs?: number; reason?: string; by?: string } = {},
  ): Promise<ControlReceipt> {
    const until = forMs === undefined ? undefined : this.options.clock.now() + forMs;
    return this.control({ kind: 'ban', user, until, reason, by });
  }

  unban(user: string, by?: string): Promise<ControlReceipt> {
    return this.control({ kind: 'unban', user, by });
  }

  addRequest(event: string, request: ConnectionRequest): void {
    this.composed.context.requests.set(event, request);
  }

  addConnectionListener(listener: ConnectionListener): () => void {
    const { listeners } = this.composed.context;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  private closeOf({ status }: Refusal): CloseName {
    if (status === 403) return 'banned';
    if (status === 429) return 'too_many_connections';
    return this.composed.context.draining ? 'drain' : 'overloaded';
  }

  private control(message: ControlMessage): Promise<ControlReceipt> {
    const { kind } = message;
    const whom = 'user' in message ? ` of user ${JSON.stringify(message.user)}` : '';
    const by = 'by' in message && message.by !== undefined ? ` by ${JSON.stringify(message.by)}` : '';
    const why =
      'reason' in message && message.reason !== undefined ? `: ${JSON.stringify(message.reason)}` : '';
    // Quoted, for a name with a line break must not forge a line of the log.
    this.options.logger.log(`${kind}${whom}${by}${why}`);
    return this.options.broker.control(message);
  }

  private onBrokerState(state: BrokerState, reason: string | undefined): void {
    if (state === this.broker) return;
    this.broker = state;
    if (state === 'down') this.options.logger.warn(`The broker is away: ${reason ?? 'no reason given'}`);
    else {
      this.options.logger.log('The broker is back');
      this.composed.context.retries.wake();
    }
  }

  private async end(): Promise<void> {
    const { context } = this.composed;
    this.beginDrain();
    for (const session of context.sessions.list()) session.close('drain');
    context.presence.stop();
    context.hub.close();
    context.retries.close();
    context.revokeView.close();
    context.catchUp.close();
    context.wheel.stop();
    if (this.opened) await this.options.broker.close();
  }
}
