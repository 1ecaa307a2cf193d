import type { SubscribeOptions } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { SnapshotResult, SubscribeResult } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { adviceOf, Backoff, exponentialDelay, type BackoffDeps } from '../backoff.js';
import type { ClientClock, ClientTimer } from '../clock.js';
import type { CommandQueue } from '../command-queue.js';
import { errorFromPayload, isShortBan } from '../errors.js';
import type { ClientLog } from '../log.js';
import type { WaitOptions } from '../promises.js';
import { durationOf, recordOf, stringOf } from '../received.js';
import { countRecovery, type Counts, type ErrorContext } from '../state.js';
import { AwaitGate } from './await-gate.js';
import { Cursor } from './cursor.js';
import { leaveChannel } from './leave.js';
import { ChannelListeners } from './listeners.js';
import { MemberChanges } from './member-changes.js';
import { deliver, readSubscribeResult, requirePosition } from './messages.js';
import { loadPosition, PositionStore, type MaybeLater } from './position-store.js';
import { PresenceSync } from './presence-sync.js';
import { StateReader } from './state-reader.js';
import type { SubscribeWindow } from './subscribe-window.js';
import type {
  ChannelEvent,
  ChannelGap,
  ChannelState,
  ChannelSubscribeOptions,
  ChannelSubscription,
} from './types.js';
import { Waiter } from './waiter.js';

/** One caller's part of a subscription: the channel stays subscribed while anybody has one. */
type Share = Waiter<ChannelSubscription, ChannelSubscribeOptions>;

/** What a {@link ClientSubscription} needs. */
export interface ClientSubscriptionDeps extends BackoffDeps {
  readonly commands: Pick<CommandQueue, 'dispatch' | 'flush' | 'isJoinable'>;
  readonly window: SubscribeWindow;
  readonly counts: Counts;
  readonly maxPresenceMembers: number;
  /**
   * Opens the client if it was never used.
   *
   * @throws RealtimeError when it is closed.
   */
  readonly ensureStarted: () => void;
  readonly report: (error: unknown, context: ErrorContext) => void;
  readonly log: ClientLog;
  /** Called when the channel becomes, or is no longer, subscribed or listened to: then it is kept, or may be forgotten. */
  readonly inUse: (subscription: ClientSubscription, used: boolean) => void;
}

/**
 * One channel's subscription through all connections, shared by all who subscribed to it. Every `subscribe` that it sends has a
 * number; answers and messages that belong to an earlier one have no effect.
 */
export class ClientSubscription {
  readonly listeners: ChannelListeners;
  readonly presence: PresenceSync;
  readonly cursor: Cursor<ChannelEvent>;
  private readonly memberChanges: MemberChanges;
  private options: SubscribeOptions = {};
  private readonly store: PositionStore;
  private phase: ChannelState = 'unsubscribed';
  private attempt = 0;
  private readonly backoff: Backoff;
  private readonly gate = new AwaitGate((envelope) => this.receive(envelope));
  private readonly stateReader: StateReader;
  private timer: ClientTimer | undefined;
  private readonly shares = new Set<Share>();
  /** Whether it was answered since it began. */
  private answered = false;
  /** Whether the channel may have a snapshot. */
  private hasState = true;
  /** `unsubscribed` came before the answer: which of the two happened later on the server is unknown (P24). */
  private doubted = false;

  constructor(
    readonly channel: string,
    private readonly deps: ClientSubscriptionDeps,
  ) {
    const { clock, random, retry, commands } = deps;
    this.backoff = new Backoff(deps);
    this.listeners = new ChannelListeners(
      (error, event) => this.report(error, event),
      () => this.noteUse(),
      (message) => this.warn(message),
    );
    this.stateReader = new StateReader(channel, deps, (state) => {
      this.hasState = 'snapshot' in state;
      this.gate.close();
      return this.position;
    });
    this.cursor = new Cursor<ChannelEvent>(this);
    this.store = new PositionStore(this);
    this.memberChanges = new MemberChanges(this.listeners);
    this.presence = new PresenceSync({
      maxMembers: deps.maxPresenceMembers,
      ask: (cursor, onAnswer) => {
        const payload = omitUndefined({ cursor });
        commands.dispatch({ type: 'presence', channel, payload, immediate: true }, onAnswer);
      },
      later: (count, task) => clock.schedule(exponentialDelay(retry(), count, random), task),
      changed: (members) => {
        if (this.wanted) this.memberChanges.follow(members);
        else this.memberChanges.forget();
        this.listeners.members(members);
      },
    });
  }

  /** What a listener of the application threw, or its store of positions. */
  report(error: unknown, event?: string): void {
    this.deps.report(error, { source: 'handler', channel: this.channel, event });
  }

  get clock(): ClientClock {
    return this.deps.clock;
  }

  warn(message: string): void {
    this.deps.log('warn', `${this.channel}: ${message}`);
  }

  /** The next event. */
  deliver(event: ChannelEvent): void {
    this.listeners.event(event);
    this.store.moved();
  }

  gap(gap: ChannelGap): void {
    this.listeners.library('gap', gap);
    this.store.moved();
  }

  resumed(position: Position): void {
    this.listeners.library('resumed', position);
  }

  get state(): ChannelState {
    return this.phase;
  }

  get wanted(): boolean {
    return this.phase !== 'unsubscribed';
  }

  /**
   * Whether commands of the channel may be sent: they wait while it is being subscribed. Without a subscription they have
   * an authorization of their own.
   */
  get settled(): boolean {
    return this.phase === 'subscribed' || this.phase === 'unsubscribed';
  }

  subscribe(options: ChannelSubscribeOptions): Promise<ChannelSubscription> {
    const given = requirePosition(options.position);
    this.deps.ensureStarted();
    const from = given ?? (this.wanted ? undefined : loadPosition(options.persist));
    const share: Share = new Waiter(options, this.deps.clock, (gone) => this.released(gone));
    this.shares.add(share);
    if (!this.wanted) this.begin(options, from);
    else if (this.phase === 'subscribed') this.admit(share);
    return share.promise;
  }

  /** The channel's state as it is now. */
  snapshot(wait: WaitOptions): Promise<SnapshotResult> {
    if (!this.wanted) throw new RealtimeError('not_subscribed', 'Subscribe first');
    return this.stateReader.read(wait);
  }

  /** Keeps the own data in presence for the next `subscribe`. */
  remember(data: unknown): void {
    const { presence } = this.options;
    this.options = { ...this.options, presence: { ...(presence === false ? {} : presence), data } };
  }

  /** Ends it for all who share it. */
  unsubscribe(): Promise<void> {
    if (!this.wanted) return Promise.resolve();
    const error = new RealtimeError('not_subscribed', 'unsubscribe() was called');
    const gone = this.finish(error);
    this.listeners.library('unsubscribed', { code: error.code, message: error.message, willRetry: false });
    return gone;
  }

  /** A connection takes subscribes: it sent `hello`, or it is live; or there is room in the window. What was sent with `hello` is not sent again. */
  join(): void {
    if (this.phase === 'waiting' && !this.store.isLoading && this.deps.commands.isJoinable()) this.send();
  }

  /** The connection is gone; the position stays. */
  lost(): void {
    if (this.wanted) this.pause();
  }

  /** The client is closed. Without `forget`, what was subscribed once comes back with the next `connect()`. */
  stop(error: RealtimeError, forget: boolean): void {
    if (!this.wanted) return;
    const waiting = [...this.shares].filter(({ waits }) => waits);
    if (forget || waiting.length === this.shares.size) {
      this.end(error, forget);
      return;
    }
    for (const share of waiting) this.shares.delete(share);
    this.pause();
    for (const share of waiting) share.fail(error);
    this.stateReader.fail(error, false);
  }

  receive(envelope: Envelope): void {
    if (this.gate.hold(envelope)) return;
    if (envelope.type === 'unsubscribed') this.onUnsubscribed(envelope.payload);
    else if (this.phase !== 'subscribed') return;
    else if (envelope.type === 'reset') this.onReset(envelope.payload);
    else deliver(envelope, this);
  }

  private get position(): Position {
    return this.cursor.position as Position;
  }

  private begin(
    { params, snapshot, presence, persist }: ChannelSubscribeOptions,
    from: MaybeLater<Position | undefined>,
  ): void {
    this.options = { params, snapshot, presence };
    this.answered = false;
    this.hasState = true;
    this.backoff.reset();
    this.store.use(persist, from);
    this.sendOrWait();
    this.noteUse();
  }

  private send(): void {
    const { window } = this.deps;
    const attempt = ++this.attempt;
    this.timer?.cancel();
    this.doubted = false;
    if (!window.enter(this)) return;
    this.setPhase('subscribing');
    if (attempt !== this.attempt) {
      window.leave();
      return;
    }
    const { position } = this.cursor;
    const payload = omitUndefined({ position, ...this.options });
    this.deps.commands.dispatch(
      { type: 'subscribe', channel: this.channel, payload, immediate: true },
      (error, answer) => {
        window.leave();
        if (attempt !== this.attempt) return;
        if (error !== undefined) this.refused(error);
        else this.accepted(answer, attempt);
      },
    );
  }

  private accepted(answer: unknown, attempt: number): void {
    const result = readSubscribeResult(answer);
    if (result === undefined) {
      const error = new RealtimeError('internal', 'The answer to subscribe cannot be read');
      this.deps.report(error, { source: 'protocol', channel: this.channel });
    }
    if (result === undefined || this.doubted) {
      this.resubscribe();
      return;
    }
    const isFirst = !this.answered;
    this.answered = true;
    this.backoff.began();
    const gap = this.cursor.answer(result);
    this.noteState(result);
    this.setPhase('subscribed');
    if (attempt === this.attempt) this.admitAll(result, gap, isFirst);
    this.announce('subscribed', result, gap, attempt);
    this.deps.commands.flush();
  }

  private onReset(payload: unknown): void {
    const result = readSubscribeResult(payload);
    if (result === undefined) {
      this.resubscribe();
      return;
    }
    const gap = this.cursor.reset(result);
    if (gap === false) return;
    this.noteState(result);
    this.announce('reset', result, gap, this.attempt);
  }

  private noteState(result: SubscribeResult): void {
    const { recovery } = result;
    countRecovery(this.deps.counts, recovery);
    if (this.options.snapshot !== false && (recovery === 'new' || recovery === 'lost'))
      this.hasState = 'snapshot' in result;
    this.store.moved();
  }

  /** Tells the listeners what the server answered, as long as none of them ends or begins something. */
  private announce(
    name: 'subscribed' | 'reset',
    result: SubscribeResult,
    gap: ChannelGap | undefined,
    attempt: number,
  ): void {
    const isAnswer = name === 'subscribed';
    const { recovery, snapshot, presence } = result;
    const tell: ChannelListeners['library'] = (what, ...args) => {
      if (attempt === this.attempt) this.listeners.library(what, ...args);
    };
    tell(name, result);
    if (isAnswer && recovery === 'lost') tell('lost', result);
    if (gap !== undefined) tell('gap', gap);
    if ('snapshot' in result) tell('snapshot', snapshot, result);
    const outcome = recovery === 'lost' ? 'lost' : gap === undefined ? 'complete' : 'missing';
    const { position } = this;
    if (recovery !== 'new') tell('recovered', omitUndefined({ outcome, gap, snapshot, position }));
    if (attempt === this.attempt && (isAnswer || presence !== undefined)) this.presence.subscribed(presence);
  }

  /** Answers all who wait. Those who were there before the first answer, and wanted what it gives, are given it. */
  private admitAll(result: SubscribeResult, gap: ChannelGap | undefined, isFirst: boolean): void {
    for (const share of this.shares) {
      if (!share.waits) continue;
      const { position, persist } = share.options;
      const isItsOwn =
        result.recovery === 'new' || (position ?? undefined) !== undefined || persist !== undefined;
      if (isFirst && isItsOwn) this.answer(share, omitUndefined({ ...result, gap }));
      else this.admit(share, result);
    }
    if ('snapshot' in result) this.stateReader.take(result);
    this.stateReader.start();
  }

  /** Answers one who comes later: with the state as it is now, and every event behind it. */
  private admit(share: Share, found: { readonly snapshot?: unknown } = {}): void {
    const isGiven = share.options.snapshot === false || !this.hasState || 'snapshot' in found;
    if (isGiven) {
      const snapshot = share.options.snapshot === false ? undefined : found.snapshot;
      this.answer(share, omitUndefined({ position: this.position, recovery: 'new' as const, snapshot }));
      return;
    }
    this.stateReader.read({}).then(
      (state) => {
        if (share.waits) this.answer(share, { ...state, recovery: 'new' });
      },
      (error: Error) => {
        share.fail(error);
        this.released(share);
      },
    );
  }

  private answer(share: Share, answer: Omit<ChannelSubscription, 'release'>): void {
    share.answer({ ...answer, release: () => share.release() });
    this.gate.close();
  }

  private refused(error: RealtimeError): void {
    if (error.code === 'already_subscribed' || error.code === 'timeout') {
      // The server has a subscription whose answer did not come.
      this.resubscribe();
      return;
    }
    this.interrupted(error, error.code, error.retryable, error.retryAfterMs);
  }

  private onUnsubscribed(payload: unknown): void {
    if (this.phase === 'subscribing') this.doubted = true;
    if (this.phase !== 'subscribed') return;
    const error = errorFromPayload(payload);
    const { code, retryable, retryAfterMs, spreadMs } = recordOf(payload);
    const advice = [durationOf(retryAfterMs), durationOf(spreadMs)] as const;
    this.interrupted(error, stringOf(code) ?? error.code, retryable === true, ...advice);
  }

  private interrupted(
    error: RealtimeError,
    code: string,
    willRetry: boolean,
    retryAfterMs = 0,
    spreadMs = 0,
  ): void {
    const { message, reason, data } = error;
    willRetry ||= isShortBan(code, retryAfterMs);
    const delayMs = willRetry ? this.backoff.next(adviceOf(retryAfterMs, spreadMs)) : undefined;
    const cause = omitUndefined({ code, message, reason, data, willRetry, delayMs });
    this.deps.log(willRetry ? 'info' : 'warn', `${this.channel} is not subscribed: ${message}`, cause);
    if (delayMs === undefined) this.end(error);
    else this.waitFor(delayMs);
    this.listeners.library('unsubscribed', cause);
  }

  /**
   * Subscribes again from the own position, although the server may hold a subscription: at once, or after a growing
   * pause when that keeps happening.
   */
  resubscribe(): void {
    this.deps.log('warn', `${this.channel}: an event or an answer is missing, resuming`);
    const { attempt } = this.backoff;
    const delayMs = this.backoff.next();
    this.leave();
    if (attempt > 1) this.waitFor(delayMs);
    else this.sendOrWait();
  }

  private sendOrWait(): void {
    if (this.pause()) this.join();
  }

  private waitFor(delayMs: number): void {
    if (!this.pause()) return;
    const { attempt } = this;
    // Without a connection the next one sends it.
    this.timer = this.deps.clock.schedule(delayMs, () => attempt === this.attempt && this.join());
  }

  private leave(done = (): void => undefined): void {
    leaveChannel(this.channel, this.deps, () => this.wanted, done);
  }

  private released(share: Share): void {
    if (!this.shares.delete(share)) return;
    // Who comes in the same turn takes it over: a component that is shown again, or React’s second run of an effect.
    queueMicrotask(() => {
      if (this.shares.size === 0) void this.finish(new RealtimeError('not_subscribed'));
    });
  }

  /** The application no longer wants it. @returns Resolves when the server answered. */
  private finish(error: RealtimeError): Promise<void> {
    const isKnown = this.phase !== 'waiting' && this.wanted && this.deps.commands.isJoinable();
    // Before anything that a listener subscribes again. Without an answer too: the subscription does not outlive its connection.
    const gone = isKnown ? new Promise<void>((resolve) => this.leave(resolve)) : Promise.resolve();
    this.end(error, true);
    return gone;
  }

  /** @returns `false` when a listener began something else. */
  private pause(): boolean {
    this.drop();
    const { attempt } = this;
    this.presence.stop();
    this.setPhase('waiting');
    return attempt === this.attempt;
  }

  /** @param quietly whether the application asked for it. */
  end(error: Error, quietly = false): void {
    if (!this.wanted) return;
    const shares = [...this.shares];
    this.shares.clear();
    this.store.forget();
    this.drop();
    this.stateReader.fail(error, quietly);
    this.setPhase('unsubscribed');
    this.presence.empty();
    this.noteUse();
    for (const share of shares) share.fail(error, quietly);
    // Commands that waited for the subscription are now sent with their own authorization.
    this.deps.commands.flush();
  }

  /** Forgets what is under way. */
  private drop(): void {
    this.attempt++;
    this.timer?.cancel();
    this.backoff.ended();
    this.cursor.stop();
    this.gate.drop();
    this.stateReader.stop();
  }

  private setPhase(phase: ChannelState): void {
    if (phase === this.phase) return;
    this.phase = phase;
    this.listeners.library('state', phase);
  }

  private noteUse(): void {
    this.deps.inUse(this, this.wanted || this.listeners.size > 0);
  }
}
