import type { Scheduled } from '../core/ports/clock.js';
import type { EventPlace } from '../nest/hooks.js';
import type { HookEvent } from './hook-event.js';

/** An event that waits for a target. */
export interface Delivery {
  readonly event: HookEvent;
  /** Where the log has what it carries; `undefined` where it carries nothing of a log. */
  readonly place: EventPlace | undefined;
  /** What it counts as. */
  readonly bytes: number;
  /** On the monotonic clock. */
  readonly acceptedAt: number;
  /** @param isSettled whether the target took it, or it was given up; else the node stops before that. */
  readonly onEnd: (isSettled: boolean) => void;
  attempts: number;
  isUnderWay: boolean;
  /** What it carries was erased while it was under way: it is not tried again. */
  isErased: boolean;
}

/** The deliveries of one channel, or of one user who is offline: the first has to end before the next begins. */
interface Lane {
  readonly key: string;
  readonly isOfUser: boolean;
  readonly deliveries: Delivery[];
  /** While the first waits to be tried again. */
  retry: Scheduled | undefined;
}

/** What waits for one target: in order in its lane, and the lanes have their turns one after another. */
export class Lanes {
  private readonly byKey = new Map<string, Lane>();
  /** Lanes whose first may begin. Apart, and in turn: a notice to very many users holds back no channel. */
  private readonly ofChannels = new Set<Lane>();
  private readonly ofUsers = new Set<Lane>();
  private wasOfUser = false;

  add(delivery: Delivery): void {
    const key = keyOf(delivery.event);
    let lane = this.byKey.get(key);
    if (lane === undefined) {
      lane = { key, isOfUser: delivery.event.type === 'user.offline', deliveries: [], retry: undefined };
      this.byKey.set(key, lane);
    }
    lane.deliveries.push(delivery);
    if (lane.deliveries.length === 1) this.ready(lane);
  }

  /** Whether {@link next} has one. */
  get hasNext(): boolean {
    return this.ofChannels.size + this.ofUsers.size > 0;
  }

  /** Takes the turn of the next lane. @returns its first, until {@link remove} or {@link retry}. */
  next(): Delivery | undefined {
    const isOfUser = this.ofUsers.size > 0 && (!this.wasOfUser || this.ofChannels.size === 0);
    const lanes = isOfUser ? this.ofUsers : this.ofChannels;
    for (const lane of lanes) {
      lanes.delete(lane);
      this.wasOfUser = isOfUser;
      return lane.deliveries[0];
    }
    return undefined;
  }

  /** The first of its lane has its turn again once the timer has called {@link retryNow}. */
  retry(delivery: Delivery, timer: Scheduled): void {
    const lane = this.byKey.get(keyOf(delivery.event));
    if (lane !== undefined) lane.retry = timer;
  }

  retryNow(delivery: Delivery): void {
    const lane = this.byKey.get(keyOf(delivery.event));
    if (lane?.retry !== undefined) this.ready(lane);
  }

  /** All that wait to be tried again have their turn. */
  retryAllNow(): void {
    for (const lane of this.byKey.values()) if (lane.retry !== undefined) this.ready(lane);
  }

  /** It has ended: the next of its lane waits for its turn. */
  remove(delivery: Delivery): void {
    const lane = this.byKey.get(keyOf(delivery.event));
    const at = lane?.deliveries.indexOf(delivery) ?? -1;
    if (lane === undefined || at < 0) return;
    lane.deliveries.splice(at, 1);
    if (lane.deliveries.length === 0) this.end(lane);
    else if (at === 0) this.ready(lane);
  }

  private ready(lane: Lane): void {
    lane.retry?.cancel();
    lane.retry = undefined;
    (lane.isOfUser ? this.ofUsers : this.ofChannels).add(lane);
  }

  private end(lane: Lane): void {
    lane.retry?.cancel();
    this.byKey.delete(lane.key);
    this.ofUsers.delete(lane);
    this.ofChannels.delete(lane);
  }
}

function keyOf(event: HookEvent): string {
  return event.type === 'user.offline' ? `user ${event.user}` : `channel ${event.channel}`;
}
