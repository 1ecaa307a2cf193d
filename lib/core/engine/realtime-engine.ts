import type { HistoryResult, PresencePage, PublishResult } from '../../protocol/messages.js';
import type { HistoryQuery } from '../commands/history.js';
import type { BrokerListener, BrokerState } from '../ports/broker.js';
import type { ConnectionRequest } from '../ports/channel-definition.js';
import type { Connection, ConnectionHandler, Handshake } from '../ports/connection.js';
import type { ControlReceipt } from '../ports/control.js';
import type { Authentication, Credentials } from '../ports/identity.js';
import { attempt, type MaybePromise } from '../ports/maybe-promise.js';
import type { AdministrativeAct } from '../ports/observer.js';
import type { ConnectionListener } from '../ports/realtime-connection.js';
import type { EngineOptions } from '../ports/settings.js';
import type { Opening, Refusal } from '../ports/transport-host.js';
import type { ApplicationPublishOptions, EngineApi, EngineStatus, SessionInfo } from './api.js';
import { closeNameOf } from '../commands/hello.js';
import { codeOf } from '../session/errors.js';
import { composeEngine, type EngineParts } from './composition.js';
import { drainSessions } from './drain.js';

/**
 * One realtime server without its edges: sessions, logs and the hub between them. Transports bring sessions in, the
 * broker holds the logs, the application's code comes as channel definitions. Nothing is shared between engines.
 *
 * @throws RangeError from the constructor, for patterns that overlap or a channel that asks for more than the broker declares.
 */
export class RealtimeEngine implements EngineApi {
  readonly maxFrameBytes: number;
  private readonly parts: EngineParts;
  /** Whether the broker was asked to start: one that failed half-way has to let go as well. */
  private opened = false;
  private stopping: Promise<void> | undefined;
  private broker: BrokerState = 'up';

  constructor(private readonly options: EngineOptions) {
    this.parts = composeEngine(options);
    this.maxFrameBytes = options.settings.limits.maxFrameBytes;
  }

  async start(): Promise<void> {
    const { hub, controlApplier, freshness, reauthorization, presence, admission } = this.parts;
    const listener: BrokerListener = {
      onEvents: (channel, events) => hub.onEvents(channel, events),
      onSignal: (channel, signal) => hub.onSignal(channel, signal),
      onPresence: (channel, diff) => hub.onPresence(channel, diff),
      onControl: (message) => controlApplier.apply(message),
      onControlCurrent: (forMs) => freshness.prove(forMs),
      onControlLost: () => reauthorization.reauthorizeAll(),
      onState: (state, reason) => this.onBrokerState(state, reason),
    };
    this.opened = true;
    await this.options.broker.start(listener, this.options.settings.nodeId);
    if (this.stopping !== undefined) return;
    presence.start();
    admission.open();
  }

  beginDrain(): void {
    this.parts.drain.begin();
  }

  async drain(deadlineMs: number): Promise<void> {
    this.beginDrain();
    const { scheduler, sessions } = this.parts;
    const { clock, settings } = this.options;
    await drainSessions({ clock, settings, scheduler, sessions }, deadlineMs);
  }

  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  get status(): EngineStatus {
    const { sessions, hub, freshness, drain, admission } = this.parts;
    return {
      started: admission.opened,
      draining: drain.isDraining,
      broker: this.broker,
      withholding: freshness.isStale,
      sessions: sessions.size,
      channels: hub.size,
    };
  }

  probe(timeoutMs: number): Promise<number> {
    return this.options.broker.probe(timeoutMs);
  }

  admit(handshake: Handshake): Refusal | undefined {
    return this.parts.admission.admit(handshake);
  }

  authenticate(credentials: Credentials): MaybePromise<Authentication> {
    const { observer } = this.parts;
    if (observer.onRefusal === undefined) return this.options.authenticator.authenticate(credentials);
    return attempt(
      () => this.options.authenticator.authenticate(credentials),
      (authentication) => authentication,
      (error) => {
        observer.onRefusal?.(credentials.handshake, 'upgrade', closeNameOf(codeOf(error)));
        throw error;
      },
    );
  }

  open(connection: Connection, opening: Opening): ConnectionHandler {
    return this.parts.admission.accept(connection, opening);
  }

  publish(
    channel: string,
    event: string,
    payload: unknown,
    options?: ApplicationPublishOptions,
  ): Promise<PublishResult> {
    return this.parts.applicationLog.publish(channel, event, payload, options);
  }

  signal(channel: string, event: string, payload: unknown, user?: string): Promise<void> {
    return this.parts.applicationLog.signal(channel, event, payload, user);
  }

  history(channel: string, query?: HistoryQuery): Promise<HistoryResult> {
    return this.parts.applicationLog.history(channel, query);
  }

  members(channel: string, page?: { cursor?: string; limit?: number }): Promise<PresencePage> {
    return this.parts.applicationLog.members(channel, page);
  }

  sessionsOf(user: string): readonly SessionInfo[] {
    const live = this.parts.sessions.ofUser(user).filter(({ isLive }) => isLive);
    return live.map((session) => ({
      id: session.id,
      user: session.user,
      ip: session.view.ip,
      transport: session.view.transport,
      connectedAt: session.connectedAt,
      channels: session.channels.names,
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
    this.parts.requests.set(event, request);
  }

  addConnectionListener(listener: ConnectionListener): () => void {
    const { listeners } = this.parts;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  private control(message: AdministrativeAct): Promise<ControlReceipt> {
    const { kind } = message;
    const whom = ` of user ${JSON.stringify(message.user)}`;
    const by = 'by' in message && message.by !== undefined ? ` by ${JSON.stringify(message.by)}` : '';
    const why =
      'reason' in message && message.reason !== undefined ? `: ${JSON.stringify(message.reason)}` : '';
    // Quoted, for a name with a line break must not forge a line of the log.
    this.options.logger.log(`${kind}${whom}${by}${why}`);
    const sent = this.options.broker.bus.control(message);
    const { observer } = this.parts;
    if (observer.onAct !== undefined) {
      sent.then(
        (receipt) => observer.onAct?.(message, receipt),
        (error: unknown) => observer.onAct?.(message, undefined, error),
      );
    }
    return sent;
  }

  private onBrokerState(state: BrokerState, reason: string | undefined): void {
    if (state === this.broker) return;
    this.broker = state;
    this.parts.observer.onBrokerState?.(state, reason);
    if (state === 'down') this.options.logger.warn(`The broker is away: ${reason ?? 'no reason given'}`);
    else {
      this.options.logger.log('The broker is back');
      this.parts.retries.wake();
    }
  }

  private async end(): Promise<void> {
    const { sessions, presence, hub, retries, freshness, catchUp, wheel } = this.parts;
    this.beginDrain();
    for (const session of sessions.list()) session.close('drain');
    presence.stop();
    hub.close();
    retries.close();
    freshness.close();
    catchUp.close();
    wheel.stop();
    if (this.opened) await this.options.broker.close();
  }
}
