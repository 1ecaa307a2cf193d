import type { Position } from '../../protocol/position.js';
import type { ChannelDefinition, HandlerCall } from '../ports/channel-definition.js';
import type { PresenceEntry } from '../ports/broker.js';
import type { Scheduled } from '../ports/clock.js';
import type { Outbox } from '../outbox/outbox.js';
import type { LocalChannel } from './local-channel.js';
import type { Subscriber } from './subscriber.js';

/** A channel as this node serves it, with the sessions' subscriptions. */
export type ServedChannel = LocalChannel<Subscription>;

/** Where the delivery of a subscription begins. */
export interface StartingPoint {
  /** The tip at the subscribe or reset. */
  readonly position: Position;
  /** The client has everything up to here, or it was announced as missing. */
  readonly cursor: number;
  /** `seq` behind which `resumed` is due (P12); `undefined` when there is nothing to replay. */
  readonly resumedAt: number | undefined;
}

const NOT_LIVE = -1;

/**
 * One session's place in one channel. Its state changes only through its methods: where it stands ({@link begin},
 * {@link advance}), whether live events go to it ({@link goLive}, {@link stopLive}, {@link startMoving},
 * {@link stopMoving}), and its end ({@link end}).
 */
export class Subscription implements Subscriber {
  private lastSeq = 0;
  private currentEpoch = '';
  private place = NOT_LIVE;
  private over = false;
  private taken = false;
  private hooked = false;
  private unanswered = false;
  private underWay = false;
  private resumedSeq: number | undefined;
  private entry: PresenceEntry | undefined;
  private seenVersion: number | undefined;
  private seenEpoch = '';
  private lease: Scheduled | undefined;
  private given: HandlerCall;
  /** Bytes that the session counts for this subscription. */
  private retained = 0;

  /**
   * @param call what the application's handlers of this subscription are given.
   * @param wantsSnapshot whether the client wants the channel's snapshot where it would be given.
   * @param takesCounts whether the client takes the number of members instead of their changes (P22a).
   */
  constructor(
    readonly outbox: Outbox,
    readonly channel: ServedChannel,
    call: HandlerCall,
    readonly wantsSnapshot: boolean,
    readonly takesCounts: boolean,
  ) {
    this.given = call;
  }

  /** What the application's handlers of this subscription are given. */
  get call(): HandlerCall {
    return this.given;
  }

  get retainedBytes(): number {
    return this.retained;
  }

  get name(): string {
    return this.channel.name;
  }

  get definition(): ChannelDefinition {
    return this.channel.definition;
  }

  /** Whether nothing of it may be written for now: it is withheld, or its channel is frozen. */
  get isFrozen(): boolean {
    return this.unanswered || this.channel.isFrozen;
  }

  /** Whether its authorization ended and could not be asked again yet (G11). */
  get isWithheld(): boolean {
    return this.unanswered;
  }

  /** Everything of {@link epoch} up to here has been queued for the client, or announced as missing. */
  get cursor(): number {
    return this.lastSeq;
  }

  get epoch(): string {
    return this.currentEpoch;
  }

  /** Whether live events go to this subscription; until then its catch-up reads the log. */
  get live(): boolean {
    return this.place !== NOT_LIVE;
  }

  get liveIndex(): number {
    return this.place;
  }

  get ended(): boolean {
    return this.over;
  }

  /** Whether the server ended it, because its client lost access. */
  get wasTaken(): boolean {
    return this.taken;
  }

  /** Whether it is being moved to another epoch: what was read of the old one is not for it. */
  get moving(): boolean {
    return this.underWay;
  }

  get resumedAt(): number | undefined {
    return this.resumedSeq;
  }

  /** Membership, when the subscriber is a member. */
  get presence(): PresenceEntry | undefined {
    return this.entry;
  }

  get presenceVersion(): number | undefined {
    return this.seenVersion;
  }

  get presenceEpoch(): string {
    return this.seenEpoch;
  }

  /** The session counts that many more bytes for it. */
  countRetained(change: number): void {
    // -0 would make V8 keep a field as an object of its own.
    if (change !== 0) this.retained += change;
  }

  /**
   * Releases what came with the command: after the handlers of the subscribe ran, nothing but a later authorization or snapshot is
   * given any of it again.
   *
   * @returns whether the parameters are gone too.
   */
  releaseCommand(): boolean {
    const { connection, user, channel, params, id, payload } = this.given;
    const { isGuarded, definition } = this.channel;
    const mayBeAskedAgain = isGuarded || definition.behaviour.snapshot !== undefined;
    const kept = mayBeAskedAgain ? payload : undefined;
    this.given = { connection, user, channel, params, id, event: '', payload: kept };
    return !mayBeAskedAgain;
  }

  /** Starts delivery at a point of a log: after the subscribe answer, or after `reset` (P10, P11). */
  begin({ position, cursor, resumedAt }: StartingPoint): void {
    this.currentEpoch = position.epoch;
    this.lastSeq = cursor;
    this.resumedSeq = resumedAt;
  }

  /** Everything up to `seq` was queued for the client, or announced as missing. */
  advance(seq: number): void {
    this.lastSeq = seq;
  }

  /** @returns the `seq` of a `resumed` that is due now, once. */
  takeResumed(): number | undefined {
    const resumed = this.resumedSeq;
    if (resumed === undefined || this.lastSeq < resumed) return undefined;
    this.resumedSeq = undefined;
    return resumed;
  }

  goLive(index: number): void {
    this.place = index;
  }

  stopLive(): void {
    this.place = NOT_LIVE;
  }

  startMoving(): void {
    this.underWay = true;
  }

  stopMoving(): void {
    this.underWay = false;
  }

  /** From now on nothing of it is delivered. */
  end(): void {
    this.over = true;
    this.lease?.cancel();
    this.lease = undefined;
  }

  /** Its `@OnSubscribe` ran, or that of the connection that it was inherited from: an `@OnUnsubscribe` is due. */
  beginHooks(): void {
    this.hooked = true;
  }

  /** @returns whether an `@OnUnsubscribe` is due, once. */
  concludeHooks(): boolean {
    const { hooked } = this;
    this.hooked = false;
    return hooked;
  }

  /** Called before {@link end} where its client lost access. */
  takeAway(): void {
    this.taken = true;
  }

  /** Delivery pauses: what is queued of it is put aside, and what comes stays in the log. */
  withhold(): void {
    if (this.unanswered) return;
    this.unanswered = true;
    this.channel.stopLive(this);
    this.outbox.hold();
    this.outbox.connection.onWithdrawn?.();
  }

  /** What was put aside is queued again; the caller continues the delivery. */
  release(): void {
    this.unanswered = false;
    this.outbox.release();
  }

  /** Replaces the timer of the next authorization. */
  scheduleLease(timer: Scheduled | undefined): void {
    this.lease?.cancel();
    this.lease = timer;
  }

  enterPresence(entry: PresenceEntry): void {
    this.entry = entry;
  }

  /** @returns the membership that ends. */
  leavePresence(): PresenceEntry | undefined {
    const { entry } = this;
    this.entry = undefined;
    return entry;
  }

  notePresence(epoch: string, version: number): void {
    this.seenEpoch = epoch;
    this.seenVersion = version;
  }

  forgetPresence(): void {
    this.seenEpoch = '';
  }
}
