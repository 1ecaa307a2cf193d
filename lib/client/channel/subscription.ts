import type { SubscribeOptions } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { SubscribeResult } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { ChannelBackoff, exponentialDelay, type ChannelBackoffDeps } from '../backoff.js';
import type { ClientTimer } from '../clock.js';
import type { CommandQueue } from '../command-queue.js';
import { errorFromPayload } from '../errors.js';
import { deferred, type Deferred } from '../promises.js';
import { durationOf, recordOf, stringOf } from '../received.js';
import type { ErrorContext } from '../state.js';
import { Cursor, type UnannouncedGap } from './cursor.js';
import { ChannelListeners } from './listeners.js';
import { deliver, readEvent, readHistory, readSubscribeResult } from './messages.js';
import { PresenceSync } from './presence-sync.js';
import type { SubscribeWindow } from './subscribe-window.js';
import type { ChannelEvent, ChannelGap, ChannelState } from './types.js';

/** Events of one page of an unannounced gap: bounded, whatever the size of the gap. */
const GAP_PAGE = 500;

/** What a {@link ClientSubscription} needs. */
export interface ClientSubscriptionDeps extends ChannelBackoffDeps {
  readonly commands: Pick<CommandQueue, 'dispatch' | 'flush' | 'isJoinable'>;
  readonly window: SubscribeWindow;
  readonly maxHeldEvents: number;
  readonly maxPresenceMembers: number;
  /**
   * Opens the client if it was never used.
   *
   * @throws RealtimeError when it is closed.
   */
  readonly ensureStarted: () => void;
  readonly report: (error: unknown, context: ErrorContext) => void;
  /** Called when the channel becomes, or is no longer, subscribed or listened to: then it is kept, or may be forgotten. */
  readonly inUse: (subscription: ClientSubscription, used: boolean) => void;
}

/**
 * One channel's subscription through all connections. Every `subscribe` that it sends has a number; answers and messages
 * that belong to an earlier one have no effect.
 */
export class ClientSubscription {
  readonly listeners: ChannelListeners;
  readonly presence: PresenceSync;
  readonly cursor: Cursor<ChannelEvent>;
  private options: SubscribeOptions = {};
  private phase: ChannelState = 'unsubscribed';
  private attempt = 0;
  private readonly backoff: ChannelBackoff;
  private timer: ClientTimer | undefined;
  private pending: Deferred<SubscribeResult> | undefined;
  private last: SubscribeResult | undefined;
  /** `unsubscribed` came before the answer: which of the two happened later on the server is unknown (P24). */
  private doubted = false;

  constructor(
    readonly channel: string,
    private readonly deps: ClientSubscriptionDeps,
  ) {
    const { clock, random, retry, commands } = deps;
    this.backoff = new ChannelBackoff(deps);
    this.listeners = new ChannelListeners(
      (error, event) => deps.report(error, { source: 'handler', channel, event }),
      () => this.noteUse(),
    );
    this.cursor = new Cursor<ChannelEvent>(
      {
        deliver: (event) => this.listeners.event(event),
        gap: (gap) => this.listeners.library('gap', gap),
        resumed: (position) => this.listeners.library('resumed', position),
        read: (gap) => this.readGap(gap),
        resubscribe: () => this.resubscribe(),
      },
      deps.maxHeldEvents,
    );
    this.presence = new PresenceSync({
      maxMembers: deps.maxPresenceMembers,
      ask: (cursor, onAnswer) => {
        const payload = omitUndefined({ cursor });
        commands.dispatch({ type: 'presence', channel, payload, immediate: true }, onAnswer);
      },
      later: (count, task) => clock.schedule(exponentialDelay(retry(), count, random), task),
      changed: (members) => this.listeners.members(members),
    });
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

  subscribe(options: SubscribeOptions): Promise<SubscribeResult> {
    this.deps.ensureStarted();
    if (this.phase === 'subscribed' && this.last !== undefined) return Promise.resolve(this.last);
    if (this.wanted) return (this.pending ??= deferred()).promise;
    this.options = options;
    this.last = undefined;
    this.backoff.reset();
    this.cursor.start(options.position);
    this.pending = deferred();
    const { promise } = this.pending;
    this.sendOrWait();
    this.noteUse();
    return promise;
  }

  /** Keeps the own data in presence for the next `subscribe`. */
  remember(data: unknown): void {
    const { presence } = this.options;
    this.options = { ...this.options, presence: { ...(presence === false ? {} : presence), data } };
  }

  unsubscribe(): Promise<void> {
    if (!this.wanted) return Promise.resolve();
    const isKnown = this.phase !== 'waiting' && this.deps.commands.isJoinable;
    this.end(
      new RealtimeError('not_subscribed', 'unsubscribe() was called before the channel was subscribed'),
    );
    if (!isKnown) return Promise.resolve();
    // Even without an answer: the subscription does not outlive its connection.
    return new Promise((resolve) => this.leave(() => resolve()));
  }

  /** A connection takes subscribes: it sent `hello`, or it is live; or there is room in the window. What was sent with `hello` is not sent again. */
  join(): void {
    if (this.phase === 'waiting' && this.deps.commands.isJoinable) this.send();
  }

  /** The connection is gone; the position stays. */
  lost(): void {
    if (this.wanted) this.pause();
  }

  /** The client is closed. Without `forget`, what was subscribed once comes back with the next `connect()`. */
  stop(error: RealtimeError, forget: boolean): void {
    if (!this.wanted) return;
    const { pending } = this;
    if (forget) pending?.ignoreRejection();
    if (forget || this.last === undefined) {
      this.end(error);
      return;
    }
    this.pending = undefined;
    this.pause();
    pending?.reject(error);
  }

  receive(envelope: Envelope): void {
    if (envelope.type === 'unsubscribed') this.onUnsubscribed(envelope.payload);
    else if (this.phase !== 'subscribed') return;
    else if (envelope.type === 'reset') this.onReset(envelope.payload);
    else deliver(envelope, this);
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
    const { params, snapshot, presence } = this.options;
    const { position } = this.cursor;
    const payload = omitUndefined({ position, params, snapshot, presence });
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
      const error = new RealtimeError('internal', 'The server’s answer to subscribe has no position');
      this.deps.report(error, { source: 'protocol', channel: this.channel });
    }
    if (result === undefined || this.doubted) {
      this.resubscribe();
      return;
    }
    this.last = result;
    this.backoff.began();
    const gap = this.cursor.answer(result);
    const { pending } = this;
    this.pending = undefined;
    pending?.resolve(result);
    const isMine = (): boolean => attempt === this.attempt;
    this.setPhase('subscribed');
    if (isMine()) this.listeners.library('subscribed', result);
    if (isMine() && result.recovery === 'lost') this.listeners.library('lost', result);
    if (isMine()) this.announce(result, gap, isMine);
    if (isMine()) this.presence.subscribed(result.presence);
    this.deps.commands.flush();
  }

  private onReset(payload: unknown): void {
    const result = readSubscribeResult(payload);
    const { attempt } = this;
    const isMine = (): boolean => attempt === this.attempt;
    if (result === undefined) {
      this.resubscribe();
      return;
    }
    const gap = this.cursor.reset(result);
    if (gap === false || !isMine()) return;
    this.last = result;
    this.listeners.library('reset', result);
    if (isMine()) this.announce(result, gap, isMine);
    if (isMine() && result.presence !== undefined) this.presence.subscribed(result.presence);
  }

  private announce(result: SubscribeResult, gap: ChannelGap | undefined, isMine: () => boolean): void {
    if (gap !== undefined) this.listeners.library('gap', gap);
    if (isMine() && 'snapshot' in result) this.listeners.library('snapshot', result.snapshot, result);
  }

  private refused(error: RealtimeError): void {
    if (error.code === 'already_subscribed' || error.code === 'timeout') {
      // The server has a subscription whose answer did not come.
      this.resubscribe();
      return;
    }
    if (error.retryable) {
      this.waitFor(Math.max(error.retryAfterMs ?? 0, this.backoff.next()));
      return;
    }
    this.end(error);
    this.listeners.library('unsubscribed', { code: error.code, message: error.message, willRetry: false });
  }

  private onUnsubscribed(payload: unknown): void {
    if (this.phase === 'subscribing') this.doubted = true;
    if (this.phase !== 'subscribed') return;
    const error = errorFromPayload(payload);
    const { code, retryable, retryAfterMs, spreadMs } = recordOf(payload);
    const cause = { code: stringOf(code) ?? error.code, message: error.message };
    if (retryable !== true) {
      this.end(error);
      this.listeners.library('unsubscribed', { ...cause, willRetry: false });
      return;
    }
    const delayMs = this.backoff.next({
      retryAfterMs: durationOf(retryAfterMs) ?? 0,
      spreadMs: durationOf(spreadMs),
    });
    this.waitFor(delayMs);
    this.listeners.library('unsubscribed', { ...cause, willRetry: true, delayMs });
  }

  /**
   * Subscribes again from the own position, although the server may hold a subscription: at once, or after a growing
   * pause when that keeps happening.
   */
  private resubscribe(): void {
    const delayMs = this.backoff.next();
    this.leave(() => undefined);
    if (!this.backoff.isFirst) this.waitFor(delayMs);
    else this.sendOrWait();
  }

  private sendOrWait(): void {
    if (this.pause() && this.deps.commands.isJoinable) this.send();
  }

  private readGap({ token, epoch, from, until }: UnannouncedGap): void {
    const { channel, cursor } = this;
    const payload = { epoch, from, until, limit: Math.min(GAP_PAGE, until - from + 1) };
    this.deps.commands.dispatch({ type: 'history', channel, payload, immediate: true }, (error, answer) => {
      const page = error === undefined ? readHistory(answer) : undefined;
      if (page === undefined) {
        cursor.pageFailed(token);
        return;
      }
      const events = page.events.map((item) => readEvent(item, channel, epoch, item.seq));
      cursor.page(token, { epoch: page.position.epoch, events, more: page.more });
    });
  }

  private waitFor(delayMs: number): void {
    if (!this.pause()) return;
    const { attempt } = this;
    this.timer = this.deps.clock.schedule(delayMs, () => {
      // Without a connection the next one sends it.
      if (attempt === this.attempt && this.deps.commands.isJoinable) this.send();
    });
  }

  private leave(done: () => void): void {
    this.deps.commands.dispatch({ type: 'unsubscribe', channel: this.channel, immediate: true }, done);
  }

  /** @returns `false` when a listener began something else. */
  private pause(): boolean {
    this.drop();
    const { attempt } = this;
    this.presence.stop();
    this.setPhase('waiting');
    return attempt === this.attempt;
  }

  private end(error: RealtimeError): void {
    const { pending } = this;
    this.pending = undefined;
    this.drop();
    this.setPhase('unsubscribed');
    this.presence.empty();
    this.noteUse();
    pending?.reject(error);
    // Commands that waited for the subscription are now sent with their own authorization.
    this.deps.commands.flush();
  }

  /** Forgets what is under way. */
  private drop(): void {
    this.attempt++;
    this.timer?.cancel();
    this.backoff.ended();
    this.cursor.stop();
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
