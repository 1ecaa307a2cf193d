import type { Envelope } from '../../protocol/envelope.js';
import type { SubscribeResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { exponentialDelay } from '../backoff.js';
import type { ClientTimer } from '../clock.js';
import { errorFromFrame } from '../errors.js';
import { isDuration, recordOf } from '../connection/welcome.js';
import { deferred, type Deferred } from '../deferred.js';
import type { ChannelHost } from './host.js';
import { ChannelListeners } from './listeners.js';
import { deliver } from './inbox.js';
import { readSubscribeResult } from './messages.js';
import type { ChannelEvent, ChannelGap, ChannelState, SubscribeOptions } from './types.js';
import { Cursor } from './cursor.js';
import { readHole } from './gap-reader.js';
import { PresenceTracker } from './presence-tracker.js';
import { RetryCounter } from './retry-counter.js';

/**
 * One channel's subscription through all connections: wanted or not, subscribed or on the way to it. Every
 * `subscribe` it sends has a number; answers and messages that belong to an earlier one have no effect.
 */
export class Subscription {
  readonly listeners: ChannelListeners;
  readonly presence: PresenceTracker;
  readonly cursor: Cursor<ChannelEvent>;
  private options: SubscribeOptions = {};
  private phase: ChannelState = 'unsubscribed';
  private attempt = 0;
  private readonly retry: RetryCounter;
  private timer: ClientTimer | undefined;
  private pending: Deferred<SubscribeResult> | undefined;
  private last: SubscribeResult | undefined;
  /** `unsubscribed` came while an answer was under way: which of the two came later on the server is unknown (P24). */
  private doubted = false;

  constructor(
    readonly channel: string,
    private readonly host: ChannelHost<Subscription>,
  ) {
    this.retry = new RetryCounter(host);
    this.listeners = new ChannelListeners(
      (error, event) => host.report(error, { source: 'handler', channel, event }),
      () => this.noteUse(),
    );
    this.cursor = new Cursor<ChannelEvent>(
      {
        deliver: (event) => this.listeners.event(event),
        gap: (gap) => this.listeners.tell('gap', gap),
        resumed: (position) => this.listeners.tell('resumed', position),
        fetch: (hole) => readHole(host.commands, channel, hole, this.cursor),
        resubscribe: () => this.again(),
      },
      host.maxHeldEvents,
    );
    this.presence = new PresenceTracker({
      maxMembers: host.maxPresenceMembers,
      ask: (cursor, done) =>
        host.commands.dispatch(
          { type: 'presence', channel, payload: cursor === undefined ? {} : { cursor }, now: true },
          done,
        ),
      later: (retry, task) => host.clock.schedule(exponentialDelay(host.retry(), retry, host.random), task),
      changed: (members) => this.listeners.members(members),
    });
  }

  get state(): ChannelState {
    return this.phase;
  }

  get wanted(): boolean {
    return this.phase !== 'unsubscribed';
  }

  /** Whether commands that need the live subscription may be sent: a channel that is not wanted has its own authorization. */
  get settled(): boolean {
    return this.phase === 'subscribed' || this.phase === 'unsubscribed';
  }

  subscribe(options: SubscribeOptions): Promise<SubscribeResult> {
    this.host.ensureStarted();
    if (this.phase === 'subscribed' && this.last !== undefined) return Promise.resolve(this.last);
    if (this.wanted) return (this.pending ??= deferred()).promise;
    this.options = options;
    this.last = undefined;
    this.retry.reset();
    this.cursor.start(options.position);
    this.pending = deferred();
    const { promise } = this.pending;
    if (this.pause() && this.host.isJoinable()) this.send();
    this.noteUse();
    return promise;
  }

  /** Own data in presence, for the next `subscribe` too. */
  remember(data: unknown): void {
    const { presence } = this.options;
    this.options = { ...this.options, presence: { ...(presence === false ? {} : presence), data } };
  }

  unsubscribe(): Promise<void> {
    if (!this.wanted) return Promise.resolve();
    const told = this.phase !== 'waiting' && this.host.isJoinable();
    this.end(
      new RealtimeError('not_subscribed', 'unsubscribe() was called before the channel was subscribed'),
    );
    if (!told) return Promise.resolve();
    // Lost on the way or not, the subscription does not outlive its connection.
    return new Promise((resolve) => this.leave(() => resolve()));
  }

  /** A connection takes subscribes: it said `hello`, or it is live. What was sent with `hello` is not sent again. */
  join(): void {
    if (this.phase === 'waiting') this.send();
  }

  /** The connection is gone; the position stays. */
  lost(): void {
    if (this.wanted) this.pause();
  }

  /** The client is closed. What was subscribed once comes back with the next `connect()`, unless `forget`. */
  stop(error: RealtimeError, forget: boolean): void {
    if (!this.wanted) return;
    const { pending } = this;
    if (forget) pending?.quiet();
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
    const attempt = ++this.attempt;
    this.timer?.cancel();
    this.doubted = false;
    this.setPhase('subscribing');
    if (attempt !== this.attempt) return;
    const { params, snapshot, presence } = this.options;
    const { position } = this.cursor;
    const payload = {
      ...(position === undefined ? {} : { position }),
      ...(params === undefined ? {} : { params }),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(presence === undefined ? {} : { presence }),
    };
    this.host.commands.dispatch(
      { type: 'subscribe', channel: this.channel, payload, now: true },
      (error, answer) => {
        if (attempt !== this.attempt) return;
        if (error !== undefined) this.refused(error);
        else this.accepted(answer, attempt);
      },
    );
  }

  private accepted(answer: unknown, attempt: number): void {
    const result = readSubscribeResult(answer);
    if (result === undefined) {
      this.host.report(new RealtimeError('internal', 'The server’s answer to subscribe has no position'), {
        source: 'protocol',
        channel: this.channel,
      });
    }
    if (result === undefined || this.doubted) {
      this.again();
      return;
    }
    this.last = result;
    this.retry.began();
    const gap = this.cursor.answer(result);
    const { pending } = this;
    this.pending = undefined;
    pending?.resolve(result);
    const isMine = (): boolean => attempt === this.attempt;
    this.setPhase('subscribed');
    if (isMine()) this.listeners.tell('subscribed', result);
    if (isMine() && result.recovery === 'lost') this.listeners.tell('lost', result);
    if (isMine()) this.tellState(result, gap, isMine);
    if (isMine()) this.presence.subscribed(result.presence);
    this.host.commands.flush();
  }

  private onReset(payload: unknown): void {
    const result = readSubscribeResult(payload);
    const { attempt } = this;
    const isMine = (): boolean => attempt === this.attempt;
    if (result === undefined) {
      this.again();
      return;
    }
    const gap = this.cursor.reset(result);
    if (gap === false || !isMine()) return;
    this.last = result;
    this.listeners.tell('reset', result);
    if (isMine()) this.tellState(result, gap, isMine);
    if (isMine() && result.presence !== undefined) this.presence.subscribed(result.presence);
  }

  private tellState(result: SubscribeResult, gap: ChannelGap | undefined, isMine: () => boolean): void {
    if (gap !== undefined) this.listeners.tell('gap', gap);
    if (isMine() && 'snapshot' in result) this.listeners.tell('snapshot', result.snapshot, result);
  }

  private refused(error: RealtimeError): void {
    if (error.code === 'already_subscribed' || error.code === 'timeout') {
      // The server holds a subscription whose answer we do not have.
      this.again();
      return;
    }
    if (error.retryable) {
      this.waitFor(Math.max(error.retryAfterMs ?? 0, this.retry.next()));
      return;
    }
    this.end(error);
    this.listeners.tell('unsubscribed', { code: error.code, message: error.message, willRetry: false });
  }

  private onUnsubscribed(payload: unknown): void {
    if (this.phase === 'subscribing') this.doubted = true;
    if (this.phase !== 'subscribed') return;
    const error = errorFromFrame(payload);
    const { code, retryable, retryAfterMs, spreadMs } = recordOf(payload);
    const cause = { code: typeof code === 'string' ? code : error.code, message: error.message };
    if (retryable !== true) {
      this.end(error);
      this.listeners.tell('unsubscribed', { ...cause, willRetry: false });
      return;
    }
    const backoff = this.retry.next();
    const after = isDuration(retryAfterMs) ? retryAfterMs : 0;
    const spread = isDuration(spreadMs) ? spreadMs : 0;
    const advised = after + spread > 0;
    const advice = after + this.host.random() * spread;
    // The first time the advice stands alone; a channel that is thrown out again and again comes back more slowly.
    const delayMs = advised && this.retry.isFirst ? advice : Math.max(advice, backoff);
    this.waitFor(delayMs);
    this.listeners.tell('unsubscribed', { ...cause, willRetry: true, delayMs });
  }

  /**
   * Subscribes anew from the own position, though the server may think that it is subscribed: at once, or after a
   * growing pause when that keeps happening.
   */
  private again(): void {
    const delayMs = this.retry.next();
    this.leave(() => undefined);
    if (!this.retry.isFirst) this.waitFor(delayMs);
    else if (this.pause() && this.host.isJoinable()) this.send();
  }

  private waitFor(delayMs: number): void {
    if (!this.pause()) return;
    const { attempt } = this;
    this.timer = this.host.clock.schedule(delayMs, () => {
      // Otherwise the next connection sends it.
      if (attempt === this.attempt && this.wanted && this.host.isJoinable()) this.send();
    });
  }

  private leave(done: () => void): void {
    this.host.commands.dispatch({ type: 'unsubscribe', channel: this.channel, now: true }, done);
  }

  /** @returns Whether nothing else was begun by a listener meanwhile. */
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
    // Commands of the channel wait no longer: they have their own authorization.
    this.host.commands.flush();
  }

  /** Nothing that is under way counts any more. */
  private drop(): void {
    this.attempt++;
    this.timer?.cancel();
    this.retry.ended();
    this.cursor.stop();
  }

  private setPhase(phase: ChannelState): void {
    if (phase === this.phase) return;
    this.phase = phase;
    this.listeners.tell('state', phase);
  }

  private noteUse(): void {
    this.host.inUse(this, this.wanted || this.listeners.size > 0);
  }
}
