import { RealtimeError } from '../../protocol/realtime-error.js';
import { MAX_PATTERNS, type RestrictionFilter, type RestrictionPage } from '../access/restrictions.js';
import { TimeLeft } from '../async/time-left.js';
import { channelsIn, type ChannelSet } from '../channel/channel-set.js';
import type { Erasures } from '../log/erasures.js';
import { VERSION } from '../ports/version.js';
import type { BrokerListener } from '../ports/broker.js';
import type { ControlMessage, ControlReceipt, DisconnectRecord, LiftReceipt, Why } from '../ports/control.js';
import type { RealtimeIdentity } from '../ports/identity.js';
import { MAX_REASON_SHOWN, quoted } from '../ports/log-text.js';
import type { Restriction, RestrictionName } from '../ports/moderation.js';
import type { AdministrativeAct, NamedAct } from '../ports/observer.js';
import type { SheddingStep } from '../ports/overload.js';
import type { ConnectionListener } from '../ports/realtime-connection.js';
import type { EngineOptions } from '../ports/settings.js';
import type { TransportHost } from '../ports/transport-host.js';
import type { ApplicationLog } from './application-log.js';
import type { BusiestOfCluster } from './cluster/busiest-channels.js';
import type { ClusterChannels } from './cluster/cluster-channels.js';
import type { ClusterReadings } from './cluster/cluster-readings.js';
import { ClusterNodes } from './cluster/cluster-nodes.js';
import type { ClusterSessions } from './cluster/cluster-sessions.js';
import type { DetailsOfSessions } from './cluster/session-details.js';
import type { PathReport } from './cluster/path-check.js';
import type { UsersOnline } from './cluster/online-users.js';
import { BrokerCondition } from './broker-condition.js';
import { composeEngine, type EngineParts } from './composition.js';
import { Erasure, type ErasedEvents, type EraseReceipt } from './erasure.js';
import { drainSessions } from './drain.js';
import { engineStats, type EngineStats } from './engine-stats.js';

/** How long a node that stops waits until the broker has what becomes of its members, in milliseconds. */
const HAND_OVER_MS = 2_000;

/** One live connection of this node, as {@link RealtimeEngine.sessionsOf} lists it. */
export interface LocalSession {
  readonly id: string;
  readonly user: RealtimeIdentity | undefined;
  readonly ip: string;
  readonly transport: string;
  /** Milliseconds since the Unix epoch. */
  readonly connectedAt: number;
  readonly channels: readonly string[];
}

/** State of the engine on this node. */
export interface EngineStatus {
  readonly started: boolean;
  readonly draining: boolean;
  readonly broker: 'up' | 'down';
  /** Why it is down; `undefined` while it is up, or where the broker gives no reason. */
  readonly brokerReason: string | undefined;
  /** Why the broker refuses what is written to it although it is reached, in its words; `undefined` while it takes writes. */
  readonly brokerRefusal: string | undefined;
  /** Whether events of channels that are not public are withheld, as a revoke may not be known here yet (G11). */
  readonly withholding: boolean;
  /** The last step that is taken against an overload (G33); `undefined` for none. */
  readonly shedding: SheddingStep | undefined;
  readonly sessions: number;
  readonly channels: number;
}

/**
 * One realtime server without its edges: sessions, logs and the hub between them. Transports bring sessions in, the
 * broker holds the logs, channel definitions bring the application's code. Engines share nothing.
 *
 * @throws RangeError from the constructor, for patterns that overlap, or what asks for more than the broker declares.
 */
export class RealtimeEngine {
  /** What transports are given. */
  readonly host: TransportHost;
  /** What the application writes and reads by itself. */
  readonly application: ApplicationLog;
  /** How the nodes are. */
  readonly nodes: Pick<ClusterNodes, 'list'>;
  private readonly parts: EngineParts;
  private readonly erasure: Erasure;
  /** Whether the broker was asked to start: one that failed to must be closed as well. */
  private opened = false;
  private stopping: Promise<void> | undefined;
  private readonly condition: BrokerCondition;

  constructor(private readonly options: EngineOptions) {
    this.parts = composeEngine(options);
    this.host = this.parts.admission;
    const { observer, retries } = this.parts;
    const { logger, clock } = options;
    this.condition = new BrokerCondition({ logger, clock, observer, onBack: () => retries.wake() });
    this.application = this.parts.applicationLog;
    const { channels, appends } = this.parts;
    this.erasure = new Erasure({
      channels,
      appends,
      log: options.broker.log,
      settings: options.settings,
      control: (record) => this.control(record),
      ended: (record, receipt, error, ms) => this.parts.observer.onAct?.(record, receipt, error, ms),
      clock: options.clock,
    });
    this.nodes = new ClusterNodes(this.parts.questions, () => ({ version: VERSION, ...this.status }));
  }

  /** Starts the broker. Rejects when the broker cannot start. */
  async start(): Promise<void> {
    const { hub, controlApplier, freshness, revocations, reauthorization, presence, admission, nodes } =
      this.parts;
    const { slow, spam, restrictions, catchUp } = this.parts;
    const listener: BrokerListener = {
      application: this.options.application,
      onEvents: (channel, events) => {
        slow.note(channel, events);
        hub.onEvents(channel, events);
      },
      onSignal: (channel, signal) => hub.onSignal(channel, signal),
      onPresence: (channel, diff) => hub.onPresence(channel, diff),
      onControl: (message) => {
        spam?.note(message);
        return controlApplier.apply(message);
      },
      onControlCurrent: (forMs) => freshness.prove(forMs),
      onRestrictions: (kept) => restrictions.liftOthers(kept),
      onControlLost: () => {
        // What was erased by a record that is lost is not in the log any more.
        hub.forgetEvents();
        catchUp.forgetAll();
        // Whatever is under way may have been revoked.
        revocations.forget();
        return reauthorization.reauthorizeAll();
      },
      onMessage: (fromNode, topic, bytes) => nodes?.receive(fromNode, topic, bytes),
      onState: (state, reason) => this.condition.note(state, reason),
      onRefusal: (reason) => this.condition.noteRefusal(reason),
      onWarning: (message) => this.options.logger.warn(message),
    };
    this.opened = true;
    await this.options.broker.start(listener, this.options.settings.nodeId);
    await this.parts.questions.start();
    if (this.stopping !== undefined) return;
    this.parts.holds?.start();
    presence.start();
    this.parts.watch?.start();
    admission.start();
  }

  /** Refuses new connections from now on (503) and turns readiness red (G18). Idempotent. */
  beginDrain(): void {
    this.parts.drain.begin();
  }

  /** Says `bye` to every session in paced batches, flushes queues, closes; resolves at the deadline at the latest (G18). */
  async drain(deadlineMs: number): Promise<void> {
    this.beginDrain();
    await drainSessions(this.parts, this.options, deadlineMs);
  }

  /**
   * Ends all sessions and closes the broker. Idempotent.
   *
   * @param time of which the hand-over takes half at most, and the farewell to the nodes half of what is left then; the broker decides by
   * itself how long it takes to close. Default: 4 s for the two.
   */
  stop(time = new TimeLeft(this.options.clock, 2 * HAND_OVER_MS)): Promise<void> {
    this.stopping ??= this.end(time);
    return this.stopping;
  }

  get status(): EngineStatus {
    const { sessions, hub, freshness, drain, admission, overload } = this.parts;
    return {
      started: admission.isOpen,
      draining: drain.isDraining,
      broker: this.condition.state,
      brokerReason: this.condition.reason,
      brokerRefusal: this.condition.refusal,
      withholding: freshness.isStale,
      shedding: overload.step,
      sessions: sessions.size,
      channels: hub.size,
    };
  }

  /** What the node counts, at this moment. Costs a look at each count, whatever is connected. */
  stats(): EngineStats {
    return engineStats(this.parts, this.options, this.condition.state);
  }

  /** Round trip of a probe through the normal publish path, in milliseconds (G20). */
  probe(timeoutMs: number): Promise<number> {
    return this.options.broker.probe(timeoutMs);
  }

  /** The same; where the probe does not return in time, with what other nodes say of theirs (G20). Never rejects. */
  checkPath(timeoutMs: number): Promise<PathReport> {
    return this.parts.pathCheck.run(timeoutMs);
  }

  /** Connections of a user on this node. */
  sessionsOf(user: string): readonly LocalSession[] {
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

  /** First bits of IPv6 addresses that are one client. */
  get ipv6Prefix(): number {
    return this.options.settings.limits.ipv6Prefix;
  }

  /** Finds sessions on all nodes. */
  get sessions(): Pick<ClusterSessions, 'list' | 'count'> {
    return this.parts.clusterSessions;
  }

  /** Finds out whether users have a session on any node. */
  get usersOnline(): Pick<UsersOnline, 'find'> {
    return this.parts.usersOnline;
  }

  /** What was erased, for who keeps events beside the engine (G29). */
  get erasures(): Pick<Erasures, 'listen' | 'coversPlace'> {
    return this.parts.erasures;
  }

  /** Finds the channels that are served on any node. */
  get channels(): Pick<ClusterChannels, 'list'> {
    return this.parts.views.channels;
  }

  /** Finds the channels with the most subscribers. */
  get busiest(): Pick<BusiestOfCluster, 'list'> {
    return this.parts.views.busiest;
  }

  /** Finds one session, with what the lists leave out. */
  get sessionDetails(): Pick<DetailsOfSessions, 'find'> {
    return this.parts.views.sessionDetails;
  }

  /** What the nodes count and measure. */
  get readings(): Pick<ClusterReadings, 'list' | 'local' | 'serve'> {
    return this.parts.views.readings;
  }

  disconnectSessions(of: DisconnectRecord['of'], id: string, why: Why = {}): Promise<ControlReceipt> {
    return this.control({ kind: 'disconnect_sessions', of, id, ...why });
  }

  disconnect(user: string, why: Why = {}): Promise<ControlReceipt> {
    return this.control({ kind: 'disconnect', user, ...why });
  }

  /**
   * @param text the name of a channel or a pattern; all channels when it is left out.
   * @param as what the moderator calls it.
   * @returns a promise that rejects with `unknown_channel` for what no channel has: confirmed, it would end nothing.
   */
  async revoke(user: string, text?: string, why: Why = {}, as?: NamedAct): Promise<ControlReceipt> {
    const { pattern } = this.known('revoke', text);
    return pattern === undefined
      ? this.control({ kind: 'revoke', user, channel: text, ...why }, as)
      : this.control({ kind: 'revoke_pattern', user, pattern: pattern.text, ...why }, as);
  }

  /** Asks authorizations of subscriptions again. Rejects as {@link revoke} does. */
  async reauthorize(user?: string, channel?: string, why: Why = {}): Promise<ControlReceipt> {
    this.known('reauthorize', channel);
    return this.control({ kind: 'reauthorize', user, channel, ...why });
  }

  /**
   * For an act that needs a channel and is made of others.
   *
   * @throws RealtimeError `bad_request` for what is neither a name nor a pattern, `unknown_channel`.
   */
  requireChannel(act: string, text: string): void {
    this.known(act, text, false);
  }

  /** @param isOptional whether the act can do without a channel: then it concerns all. @throws as {@link requireChannel}. */
  private known(act: string, text: string | undefined, isOptional = true): ChannelSet {
    const channels = channelsIn(act, text);
    if (this.parts.channels.knows(channels)) return channels;
    const tail = isOptional ? ', or leave it out for all' : '';
    const message = `${act}: no channel is called ${JSON.stringify(text)}. Check the name${tail}`;
    throw new RealtimeError('unknown_channel', message);
  }

  ban(
    user: string,
    { forMs, reason, by }: Why & { readonly forMs?: number | undefined } = {},
  ): Promise<ControlReceipt> {
    return this.control({ kind: 'ban', user, forMs, reason, by });
  }

  unban(user: string, why: Why = {}): Promise<ControlReceipt> {
    return this.control({ kind: 'unban', user, ...why });
  }

  /**
   * Puts a restriction on somebody, on every node. Rejects as {@link revoke} does. A ban of a user everywhere is sent in the form that
   * nodes of the last version know too.
   *
   * @param as what the moderator calls it.
   */
  async restrict(restriction: Restriction, as?: NamedAct): Promise<ControlReceipt> {
    const { act, whom, channel, forMs, reason, by } = restriction;
    this.known(act, channel, act !== 'slow');
    const release = this.parts.restrictions.reserve(restriction, this.options.clock.monotonic());
    if (release === undefined) {
      const message = `${act}: there are ${MAX_PATTERNS} patterns for this already, as many as may be. Lift some, or use a wider one`;
      throw new RealtimeError('bad_request', message);
    }
    try {
      return await (act === 'ban' && whom.of === 'user' && channel === undefined
        ? this.ban(whom.id, { forMs, reason, by })
        : this.control({ kind: 'restrict', ...restriction }, as));
    } finally {
      release();
    }
  }

  /** Ends a restriction, on every node. Rejects as {@link revoke} does. */
  async lift(name: RestrictionName, why: Why = {}): Promise<LiftReceipt> {
    const { act, whom, channel } = name;
    if (act === 'slow') this.known('endSlow', channel, false);
    else this.known('lift', channel);
    const receipt = await (act === 'ban' && whom.of === 'user' && channel === undefined
      ? this.unban(whom.id, why)
      : this.control({ kind: 'lift', act, whom, channel, ...why }));
    const remains = this.parts.restrictions.remaining(name, this.options.clock.monotonic());
    return { ...receipt, remains };
  }

  /** The restrictions that are in force. @param after the `more` of the page before, as a number. */
  restrictions(filter: RestrictionFilter, after: number, limit: number): RestrictionPage {
    return this.parts.restrictions.list(filter, after, limit, this.options.clock.monotonic());
  }

  /** The lineage of a session of this node, by its id; a text that names none is a lineage itself. */
  lineageOf(session: string): string {
    return this.parts.sessions.find(session)?.lineage ?? session;
  }

  /** Follows connections. @returns ends that. */
  addConnectionListener(listener: ConnectionListener): () => void {
    return this.parts.listeners.add(listener);
  }

  /** Erases events of a channel, everywhere. Rejects as {@link Erasure.erase} does. */
  erase(channel: string, what: ErasedEvents, why: Why = {}): Promise<EraseReceipt> {
    return this.erasure.erase(channel, what, why);
  }

  /** @param as goes to observers and the log, and to no other node: what it does there is the same. */
  private control(message: ControlMessage & AdministrativeAct, as?: NamedAct): Promise<ControlReceipt> {
    const act = as === undefined ? message : { ...message, as };
    const whom = whomOf(message);
    const by = 'by' in message && message.by !== undefined ? ` by ${quoted(message.by)}` : '';
    const why =
      'reason' in message && message.reason !== undefined
        ? `: ${quoted(message.reason, MAX_REASON_SHOWN)}`
        : '';
    // Quoted: a name with a line break must not forge a line of the log.
    this.options.logger.log(`${as === undefined ? '' : `${as}: `}${message.kind}${whom}${by}${why}`);
    const { clock } = this.options;
    const startedAt = clock.monotonic();
    const sent = this.options.broker.bus.control(message);
    const { observer } = this.parts;
    if (observer.onAct !== undefined) {
      sent.then(
        (receipt) => observer.onAct?.(act, receipt, undefined, clock.monotonic() - startedAt),
        (error: unknown) => observer.onAct?.(act, undefined, error, clock.monotonic() - startedAt),
      );
    }
    return sent;
  }

  /** A broker that does not answer holds nobody up. */
  private async handOver(time: TimeLeft): Promise<void> {
    const share = time.share({ mostMs: HAND_OVER_MS, keepMs: time.ms / 2 });
    const { ms } = share;
    if (!(await share.wait(this.parts.presence.settled())))
      this.options.logger.warn(
        `The broker did not take the last leaves of members within ${Math.round(ms)} ms: these members leave with their leases`,
      );
  }

  private async end(time: TimeLeft): Promise<void> {
    const { questions, sessions, presence, hub, retries, freshness, catchUp, verifications, wheel } =
      this.parts;
    this.beginDrain();
    for (const session of sessions.list()) session.close('drain');
    presence.stop();
    this.parts.holds?.close();
    hub.close();
    retries.close();
    freshness.close();
    catchUp.close();
    verifications.close();
    this.parts.watch?.close();
    this.parts.rotation.close();
    this.parts.lowPriority.close();
    wheel.stop();
    // The other nodes have the members from here on; what does not get there ends with its lease.
    await this.handOver(time);
    // While it can still be sent.
    if (this.opened) await time.share({ keepMs: time.ms / 2 }).wait(questions.close());
    if (this.opened) await this.options.broker.close();
  }
}

/** Whom an act is about, for the log. */
function whomOf(message: AdministrativeAct): string {
  if (message.kind === 'erase')
    return ` of ${message.seqs.length} events in channel ${quoted(message.channel)}`;
  if (message.kind === 'disconnect_sessions') return ` of ${message.of} ${quoted(message.id)}`;
  if (message.kind === 'restrict' || message.kind === 'lift') {
    const { act, whom, channel } = message;
    const where = channel === undefined ? '' : ` in ${quoted(channel)}`;
    return ` ${act} of ${whom.of === 'everybody' ? 'everybody' : `${whom.of} ${quoted(whom.id)}`}${where}`;
  }
  return message.user === undefined ? '' : ` of user ${quoted(message.user)}`;
}
