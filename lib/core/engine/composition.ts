import { AccessGuard } from '../access/access-guard.js';
import { BanList } from '../access/ban-list.js';
import { ChannelNames } from '../access/channel-names.js';
import { RecentReauthorizations } from '../access/recent-reauthorizations.js';
import { RecentLineages } from '../access/recent-lineages.js';
import { DrainSwitch } from '../access/drain-switch.js';
import { Restrictions } from '../access/restrictions.js';
import { SlowMode } from '../access/slow-mode.js';
import { RevocationFreshness } from '../access/revocation-freshness.js';
import { Revocations } from '../access/revocations.js';
import { TicketSigner } from '../access/ticket.js';
import { Allowances, NO_ALLOWANCE } from '../access/allowances.js';
import { Circuits } from '../access/circuits.js';
import { ConnectRate } from '../access/connect-rate.js';
import { NodeConnects } from '../access/node-connects.js';
import { Verifications } from '../access/verifications.js';
import { Stalls } from '../async/stalls.js';
import { TimerWheel } from '../async/timer-wheel.js';
import { Turns } from '../async/turns.js';
import { assertCapabilities } from '../channel/capabilities.js';
import { ChannelRegistry } from '../channel/registry.js';
import { ApplicationCalls } from '../commands/application-calls.js';
import { Auth } from '../commands/auth.js';
import { Authorizer } from '../commands/authorization.js';
import { Hello } from '../commands/hello.js';
import { CurrentState } from '../commands/current-state.js';
import { History } from '../commands/history.js';
import { LifecycleHooks } from '../commands/lifecycle.js';
import { Presence } from '../commands/presence.js';
import { Publish } from '../commands/publish.js';
import { Reauthorization } from '../commands/reauthorization.js';
import { Request } from '../commands/request.js';
import { Resetter } from '../commands/reset.js';
import { CommandRouter } from '../commands/router.js';
import { Signal } from '../commands/signal.js';
import { SlowGate } from '../commands/slow-gate.js';
import { SubscribePlanner } from '../commands/snapshot.js';
import { Subscribe } from '../commands/subscribe.js';
import { TakeOver } from '../commands/take-over.js';
import { Unsubscribe } from '../commands/unsubscribe.js';
import type { Subscription } from '../hub/subscription.js';
import { CatchUp } from '../hub/catch-up.js';
import { Hub } from '../hub/hub.js';
import { PresenceTracker } from '../hub/presence-tracker.js';
import { AppendQueue } from '../log/append-queue.js';
import { Erasures } from '../log/erasures.js';
import { RingBudget } from '../log/event-ring.js';
import { RecentPublishes } from '../log/recent-publishes.js';
import { FlushPace } from '../outbox/flush-pace.js';
import { FlushScheduler } from '../outbox/flush-scheduler.js';
import { ClientBytes } from '../outbox/client-bytes.js';
import { OutboxQueue } from '../outbox/queue.js';
import { OutboxBudget } from '../outbox/outbox-budget.js';
import type { EngineOptions } from '../ports/settings.js';
import { AnswerSizes } from '../session/answers.js';
import { ConnectionListeners } from '../session/connection-listeners.js';
import { SessionRegistry } from '../session/registry.js';
import { CommandWatch } from '../session/command-watch.js';
import type { SessionDeps } from '../session/session.js';
import { FrameReader } from '../session/frame-reader.js';
import { RelayedAnswers } from '../session/relayed-answers.js';
import { AbuseBans } from './abuse-bans.js';
import { WaitingBytes } from '../session/waiting-bytes.js';
import { Admission } from './admission.js';
import { ApplicationLog } from './application-log.js';
import { ClusterSessions } from './cluster/cluster-sessions.js';
import { UsersOnline } from './cluster/online-users.js';
import { LocalSessions } from './cluster/local-sessions.js';
import { NodeQuestions } from './cluster/node-questions.js';
import { operatorViews } from './cluster/operator-views.js';
import { PathCheck } from './cluster/path-check.js';
import { UserConnections } from './cluster/user-connections.js';
import { ControlApplier } from './control-applier.js';
import { EraseApplier } from './erase-applier.js';
import { DeliveryFreeze } from './delivery-freeze.js';
import { granularityOf } from './granularity.js';
import { inboundLimits } from './inbound-limits.js';
import { keeperOwner } from './keeper-owner.js';
import { NodeCounts } from './node-counts.js';
import { NODES_CHANNEL } from './nodes-channel.js';
import { nodeLinkOf } from './node-link.js';
import { enginePorts } from './engine-ports.js';
import { overloadParts } from './overload/overload-parts.js';
import { Rotation } from './rotation.js';
import { RestrictionApplier } from './restriction-applier.js';
import { spamGuardOf } from './spam-steps.js';
import { unfinishedMessages } from './unfinished.js';
import { unwritableLog } from './unwritable-log.js';
import { userChannelDefinition } from './user-channel.js';

/** The parts of an engine that it drives itself. */
export type EngineParts = ReturnType<typeof composeEngine>;

/** Builds the parts of an engine and ties the knots between them. Two engines share nothing. */
export function composeEngine(options: EngineOptions) {
  const { broker } = options;
  const { ports, journal, retries, holds } = enginePorts(options);
  const { settings, clock, entropy, logger, observer, log, bus, tracer } = ports;
  const { limits } = settings;
  assertCapabilities(options.channels, broker);
  const listeners = new ConnectionListeners(logger);
  const own = [userChannelDefinition(broker.capabilities, limits.dedupeMs), NODES_CHANNEL];
  const channels = new ChannelRegistry(options.channels, own);
  const sessions = new SessionRegistry();
  const drain = new DrainSwitch();
  const stalls = new Stalls(clock);
  const wheel = new TimerWheel(clock, granularityOf(settings), stalls);
  const turns = new Turns(clock);
  const scheduler = new FlushScheduler(
    clock,
    new FlushPace(settings.maxFlushDelayMs),
    (error) => logger.error('Flushing queues failed', error),
    tracer?.detached.bind(tracer),
  );
  const shedding = overloadParts(options, { scheduler, turns, observer, journal });
  const { overload } = shedding;

  const bans = new BanList();
  const addressBans = new BanList();
  const revocations = new Revocations();
  const restrictions = new Restrictions((count) =>
    journal.warn(
      'restrictions',
      () =>
        `There are too many restrictions: the ${count} that end first are dropped. Lift what is no longer needed, and give others an end`,
    ),
  );
  const recent = new RecentReauthorizations();
  const freshness: RevocationFreshness = new RevocationFreshness(
    clock,
    new DeliveryFreeze(() => ({ hub, catchUp, sessions, logger })),
  );
  const access = new AccessGuard(revocations, freshness, restrictions, clock);

  const verifications = new Verifications({ ...ports, journal });
  const allowances = new Allowances({ limitsForUser: options.limitsForUser, settings, journal });
  const connects = new ConnectRate(ports);
  const tickets = new TicketSigner(settings.ticketSecret);
  const nodeConnects = new NodeConnects({ ...ports, tickets, overload });
  const calls = new ApplicationCalls({
    ...ports,
    journal,
    sessions,
    circuits: new Circuits({ ...ports, journal }),
  });
  const budget = new OutboxBudget({ limits: settings.outbox, scheduler, journal });
  const measured = new NodeCounts(observer, clock, () => hub, budget);
  const appends = new AppendQueue(ports, turns, measured.appends);
  const presence = new PresenceTracker({ ...ports, journal, retries });
  const queued = new ClientBytes();
  const retained = new ClientBytes();
  const answers = new AnswerSizes({ settings, clock, notices: journal });
  const erasures = new Erasures(clock, journal);
  const planner = new SubscribePlanner(ports, calls, journal, erasures);
  const pump = (subscription: Subscription): void => catchUp.pump(subscription);
  const resetter: Resetter = new Resetter({ ...ports, planner, retries, answers, pump });
  const { lingerMs, ringSize, ringBytes } = settings;
  const { maxServedChannels } = limits;
  const ringBudget = new RingBudget(settings.ringBytesPerNode);
  const patternOf = (name: string): string | undefined => channels.find(name)?.definition.pattern;
  const onUnwritable = unwritableLog(journal, patternOf);
  const served = { ringSize, ringBytes, ringBudget, counts: measured.channels, sample: measured.sample };
  const hub: Hub = new Hub(
    {
      ...ports,
      ...served,
      scheduler,
      retries,
      access,
      lingerMs,
      maxServedChannels,
      onBehind: pump,
      erasures,
      onUnwritable,
      ...shedding,
      occupancy: holds,
    },
    keeperOwner(resetter),
  );
  const catchUp: CatchUp = new CatchUp({
    ...ports,
    retries,
    turns,
    erasures,
    // Either may be the older one: the node that has not noticed yet, or the subscription that was planned before it did.
    onNewEpoch: (subscription) =>
      hub.verify(subscription.channel, () => {
        if (subscription.epoch === subscription.channel.tip.epoch) catchUp.pump(subscription);
        else resetter.reset(subscription);
      }),
    onFailed: (subscription, error) => {
      const { about } = subscription.call.connection;
      logger.error(`Delivery failed on connection ${about.connection}`, error, about);
      subscription.outbox.fail();
    },
  });

  const hooks = new LifecycleHooks(channels, ports, calls);
  const names = new ChannelNames({
    // Who may hold many channels may also come back to them.
    max: Math.max(limits.maxDistinctChannels, 2 * limits.maxChannels),
    windowMs: limits.distinctChannelsWindowMs,
    secret: settings.ticketSecret,
  });
  const authorizer = new Authorizer({ ...ports, channels, access, names, calls });
  const unsubscribe = new Unsubscribe(hub, presence, hooks, clock);
  const reauthorization = new Reauthorization({
    ...ports,
    authorizer,
    unsubscribe,
    sessions,
    drain,
    journal,
    recent,
    proceed: (subscription) => {
      subscription.release();
      catchUp.pump(subscription);
      subscription.channel.presence?.refresh(subscription);
    },
  });
  const recentPublishes = new RecentPublishes();
  const { isExempt } = options;
  const spam = spamGuardOf(options.spam, {
    ...ports,
    isExempt,
    calls,
    journal,
    applier: () => controlApplier,
  });
  const slow = new SlowGate({ restrictions, places: new SlowMode(), isExempt, clock, journal });
  const joining = {
    turns,
    authorizer,
    access,
    hub,
    planner,
    catchUp,
    presence,
    hooks,
    reauthorization,
    recent,
  };
  const router = new CommandRouter(
    {
      auth: new Auth(verifications, ports, allowances),
      currentState: new CurrentState({ ...ports, authorizer, access, planner, turns, pump }),
      history: new History(authorizer, { ...ports, turns, erasures }),
      presence: new Presence(authorizer, access, { ...ports, turns }, presence),
      publish: new Publish({
        ...ports,
        authorizer,
        access,
        slow,
        spam,
        appends,
        recentPublishes,
        drain,
        calls,
        journal,
      }),
      request: new Request(authorizer, options.requests ?? new Map(), calls),
      signal: new Signal(authorizer, access, log, hub, settings),
      subscribe: new Subscribe({ ...ports, ...joining }),
      unsubscribe,
    },
    drain,
    clock,
    overload,
  );
  const recentLineages = new RecentLineages(
    limits.maxRateBuckets,
    limits.freeSubscribesEveryMs,
    settings.retry.stableMs,
  );
  const takeOver = new TakeOver({ ...ports, tickets, sessions, hooks, wheel, recentLineages });
  const nodes = nodeLinkOf(broker, settings.nodeId, clock, journal);
  const { nodeId } = settings;
  const questions = new NodeQuestions({ nodeId, link: nodes, bus, clock, entropy, journal });
  const localSessions = new LocalSessions({ nodeId, sessions, hub, clock });
  const hello = new Hello({
    ...ports,
    connections: new UserConnections({ questions, sessions, settings, clock, journal }),
    tickets,
    sessions,
    takeOver,
    restrictions,
    bans,
    addressBans,
    journal,
    verifications,
    calls,
    allowances,
    overload,
  });
  const acts = { sessions, bans, addressBans, revocations, unsubscribe, clock };
  const controlApplier: ControlApplier = new ControlApplier({
    ...acts,
    localSessions,
    restrictions: new RestrictionApplier({ ...acts, restrictions }),
    reauthorization,
    eraser: new EraseApplier({ erasures, hub, catchUp, sessions, unsubscribe, clock }),
  });

  const unfinished = unfinishedMessages(limits, journal);
  const waiting = new WaitingBytes(limits.maxWaitingCommandBytes);
  const rotation = new Rotation({ ...ports, wheel, sessions, drain });
  const sessionDeps: SessionDeps = {
    ...ports,
    rotation,
    watch:
      tracer === undefined && observer.onCommandStart === undefined && observer.onCommandEnd === undefined
        ? undefined
        : new CommandWatch(observer, clock, patternOf, tracer),
    commands: {
      greet: (session, command) => hello.run(session, command),
      run: (session, command) => router.run(session, command),
      leave: (session, code) => {
        if (session.heldChannels > 0)
          recentLineages.remember(session.lineage, session.heldChannels, clock.monotonic());
        unsubscribe.endAll(session, code);
        allowances.change(session.allowance, NO_ALLOWANCE);
        // A token of `hello` or `auth` may wait to be verified.
        verifications.leave(session.connection.handshake);
      },
    },
    wheel,
    answers,
    retained,
    states: measured.states,
    sessions,
    listeners,
    banForAbuse: new AbuseBans({ applier: controlApplier, bus, clock, journal }).ban,
    // Without a spread: all of it is read for every delivery, and what follows a spread lies one load further away.
    outboxes: {
      limits: settings.outbox,
      budget,
      traffic: measured.traffic,
      blocked: measured.blocked,
      queued,
      nothing: new OutboxQueue(budget),
      scheduler,
      clock,
      wheel,
      observer,
      onUnwritable,
    },
    turns,
    stalls,
    waiting,
    frames: new FrameReader({ ...ports, wheel, turns, journal, unfinished }),
    ...inboundLimits(settings),
    journal,
    beforeWrite: () => freshness.check(),
  };
  return {
    observer,
    questions,
    pathCheck: new PathCheck({ questions, clock, probe: (timeoutMs) => broker.probe(timeoutMs) }),
    clusterSessions: new ClusterSessions(questions, localSessions, entropy),
    usersOnline: new UsersOnline(questions, sessions),
    views: operatorViews({ questions, hub, sessions, localSessions, clock }),
    nodes,
    admission: new Admission({
      ...ports,
      nodes,
      journal,
      verifications,
      connects,
      nodeConnects,
      sessions,
      sessionDeps,
      unfinished,
      relayed: new RelayedAnswers({ limits: settings.outbox, budget, journal }),
      erasures,
      drain,
    }),
    applicationLog: new ApplicationLog({ ...ports, broker, channels, hub, appends, erasures }),
    controlApplier,
    erasures,
    restrictions,
    slow,
    spam,
    revocations,
    connects,
    verifications,
    reauthorization,
    channels,
    sessions,
    hub,
    holds,
    presence,
    catchUp,
    freshness,
    retries,
    scheduler,
    wheel,
    drain,
    ...shedding,
    rotation,
    listeners,
    queued,
    retained,
    budget,
    appends,
    ringBudget,
    ...{ measured, recentPublishes, waiting, unfinished, turns, bans, addressBans, nodeConnects },
  };
}
