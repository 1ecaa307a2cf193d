import type { ThrottledLog } from '../core/async/throttled-log.js';
import type { TimeLeft } from '../core/async/time-left.js';
import type { Clock, Scheduled } from '../core/ports/clock.js';
import type { Entropy } from '../core/ports/entropy.js';
import type { EventPlace, TargetStatus } from '../nest/hooks.js';
import { DeliveryFailure } from './delivery-failure.js';
import type { HookEvent, HookTarget } from './hook-event.js';
import { Lanes, type Delivery } from './lanes.js';
import { TargetGate } from './target-gate.js';

/** Attempts that a target may leave unanswered beyond their time; it is called no more then. */
const MAX_UNANSWERED = 32;
/** Waits before an event is tried again, in milliseconds: up to twice as long each time, any time up to it. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
const MAX_DOUBLINGS = 16;
/** Share of the room that notices to users who are offline may take. */
export const OFFLINE_SHARE = 0.5;

/** Bounds of what waits for a target, and of its attempts. */
export interface TargetLimits {
  /** Events that wait, those under way included. Notices to users who are offline may fill half of it. */
  readonly maxEvents: number;
  /** Bytes of them. */
  readonly maxBytes: number;
  /** Attempts at the same time. */
  readonly concurrency: number;
  /** How long an attempt may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Age after which an event is given up, in milliseconds since it was accepted. */
  readonly maxAgeMs: number;
}

/** A target that knows what it needs better than the limits of all. */
export interface DeliveryTarget extends HookTarget {
  readonly timeoutMs?: number | undefined;
  readonly maxAgeMs?: number | undefined;
}

export interface TargetQueueDeps {
  readonly target: DeliveryTarget;
  readonly limits: TargetLimits;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly journal: Pick<ThrottledLog, 'warn' | 'error'>;
}

/**
 * Delivers to one target: the events of a channel in order, those of different channels at the same time, each again until the target
 * has taken it or it is too old.
 */
export class TargetQueue {
  private readonly lanes = new Lanes();
  /** In the order in which they came, which is that of their age. */
  private readonly deliveries = new Set<Delivery>();
  private readonly gate = new TargetGate();
  private readonly underWay = new Map<Delivery, AbortController>();
  private readonly name: string;
  private readonly timeoutMs: number;
  private readonly maxAgeMs: number;
  private bytes = 0;
  private taken = 0;
  private givenUp = 0;
  private unanswered = 0;
  private wake: Scheduled | undefined;
  private ageTimer: Scheduled | undefined;
  private hasEnded = false;
  private isClosed = false;
  private readonly onIdle: (() => void)[] = [];

  constructor(private readonly deps: TargetQueueDeps) {
    const { target, limits } = deps;
    this.name = target.name;
    this.timeoutMs = target.timeoutMs ?? limits.timeoutMs;
    this.maxAgeMs = target.maxAgeMs ?? limits.maxAgeMs;
  }

  get status(): TargetStatus {
    const { name, bytes, taken, givenUp } = this;
    const state = this.hasEnded ? 'ended' : this.gate.isTried ? 'failing' : 'working';
    return { name, waiting: this.deliveries.size, bytes, taken, givenUp, state };
  }

  /** Whether it is called for events of this type. */
  wants(type: HookEvent['type']): boolean {
    return !this.hasEnded && this.deps.target.types.has(type);
  }

  /** Whether it is called for one event at a time. */
  get isFailing(): boolean {
    return this.gate.isTried;
  }

  /** How many more events of so many bytes each find room. */
  room(type: HookEvent['type'], bytes: number): number {
    const { events, size } = this.shareOf(type === 'user.offline');
    return Math.max(0, Math.min(events - this.deliveries.size, Math.floor((size - this.bytes) / bytes)));
  }

  /** Whether half of the room for events of channels is free, or of that for notices. */
  isHalfFree(isOffline: boolean): boolean {
    const { events, size } = this.shareOf(isOffline);
    return this.deliveries.size * 2 <= events && this.bytes * 2 <= size;
  }

  /** @param onEnd see {@link Delivery}. Called once, later or at once. @param place see {@link Delivery}. */
  push(event: HookEvent, bytes: number, onEnd: (isSettled: boolean) => void, place?: EventPlace): void {
    if (this.isClosed) return onEnd(false);
    if (this.room(event.type, bytes) < 1) {
      this.givenUp++;
      this.logFull();
      return onEnd(true);
    }
    const acceptedAt = this.deps.clock.monotonic();
    const state = { attempts: 0, isUnderWay: false, isErased: false };
    const delivery: Delivery = { event, place, bytes, acceptedAt, onEnd, ...state };
    this.deliveries.add(delivery);
    this.bytes += bytes;
    this.lanes.add(delivery);
    this.watchAge();
    this.run();
  }

  /**
   * Ends what carries one of these events, whichever incarnation of the log they are named with: after a failover the log has them
   * under another one (G29).
   */
  erased(channel: string, seqs: ReadonlySet<number>): void {
    for (const delivery of this.deliveries) {
      const { place } = delivery;
      if (place?.channel !== channel || !seqs.has(place.seq)) continue;
      if (!delivery.isUnderWay) {
        this.end(delivery, true);
        continue;
      }
      delivery.isErased = true;
      this.underWay.get(delivery)?.abort();
    }
    this.run();
  }

  /** Aborts what is under way and waits until it has ended, not longer than the time. What the target has not taken by then is not settled. */
  async close(time: TimeLeft): Promise<void> {
    const { ms } = time;
    this.isClosed = true;
    this.wake?.cancel();
    this.ageTimer?.cancel();
    for (const delivery of this.deliveries) if (!delivery.isUnderWay) this.end(delivery, false);
    for (const abort of this.underWay.values()) abort.abort();
    if (this.underWay.size > 0) await time.wait(new Promise<void>((resolve) => this.onIdle.push(resolve)));
    if (this.underWay.size > 0) this.logStopped(ms);
    for (const delivery of this.deliveries) this.end(delivery, false);
  }

  private shareOf(isOffline: boolean): { readonly events: number; readonly size: number } {
    const { maxEvents, maxBytes } = this.deps.limits;
    const share = isOffline ? OFFLINE_SHARE : 1;
    return { events: Math.floor(maxEvents * share), size: maxBytes * share };
  }

  private run(): void {
    const { clock, limits } = this.deps;
    while (!this.isClosed && this.lanes.hasNext) {
      const most = this.gate.isTried ? 1 : limits.concurrency;
      if (this.underWay.size >= most || this.unanswered >= MAX_UNANSWERED) return;
      const waitMs = this.gate.enter(clock.monotonic());
      if (waitMs > 0) return this.later(waitMs);
      const delivery = this.lanes.next();
      if (delivery !== undefined) this.attempt(delivery, this.gate.isTried);
    }
  }

  private later(ms: number): void {
    this.wake?.cancel();
    this.wake = this.deps.clock.schedule(ms, () => this.run());
  }

  private attempt(delivery: Delivery, isTrial: boolean): void {
    const { target, clock } = this.deps;
    const abort = new AbortController();
    let isOverdue = false;
    delivery.attempts++;
    delivery.isUnderWay = true;
    this.underWay.set(delivery, abort);
    const settle = (error: unknown): void => {
      this.underWay.delete(delivery);
      delivery.isUnderWay = false;
      if (error === undefined) this.onTaken(delivery, isTrial);
      else this.onFailure(delivery, isTrial, error);
      if (this.underWay.size === 0) for (const idle of this.onIdle.splice(0)) idle();
      this.run();
    };
    const timer = clock.schedule(this.timeoutMs, () => {
      isOverdue = true;
      this.unanswered++;
      abort.abort();
      settle(new DeliveryFailure(`it did not answer within ${this.timeoutMs} ms`));
    });
    const answered = (error?: unknown): void => {
      timer.cancel();
      if (!isOverdue) return settle(error);
      this.unanswered--;
      // Taken late, and not tried again yet.
      if (error === undefined && !delivery.isUnderWay && this.deliveries.has(delivery)) {
        this.taken++;
        this.end(delivery, true);
      }
      this.run();
    };
    (async () => target.deliver(delivery.event, abort.signal))().then(
      () => answered(),
      (error: unknown) => answered(error ?? new DeliveryFailure('it failed')),
    );
  }

  private onTaken(delivery: Delivery, isTrial: boolean): void {
    this.taken++;
    this.end(delivery, true);
    if (this.gate.succeeded(isTrial, this.deps.clock.monotonic()))
      this.deps.journal.warn(`hook_works ${this.name}`, () => `The hook target ${this.name} works again`);
    if (isTrial) this.lanes.retryAllNow();
  }

  private onFailure(delivery: Delivery, isTrial: boolean, error: unknown): void {
    if (this.isClosed) return this.end(delivery, false);
    if (delivery.isErased) {
      this.gate.showedNothing(isTrial);
      return this.end(delivery, true);
    }
    const { clock, entropy } = this.deps;
    const now = clock.monotonic();
    const { ends, retryAfterMs } = error instanceof DeliveryFailure ? error : new DeliveryFailure('');
    if (ends === 'event') this.gate.showedNothing(isTrial);
    else if (this.gate.failed(isTrial, now)) this.logFailing();
    if (ends === 'target') return this.endTarget(error);
    if (this.hasEnded || ends === 'event') return this.giveUp(delivery, 'it refused it for good', error);
    if (now - delivery.acceptedAt >= this.maxAgeMs) return this.giveUp(delivery, this.tooOld(), error);
    this.logFailure(error);
    if (retryAfterMs !== undefined) this.gate.pause(retryAfterMs, now);
    const mostMs = FIRST_RETRY_MS * 2 ** Math.min(delivery.attempts - 1, MAX_DOUBLINGS);
    const waitMs = entropy.random() * Math.min(LONGEST_RETRY_MS, mostMs);
    const timer = clock.schedule(waitMs, () => {
      this.lanes.retryNow(delivery);
      this.run();
    });
    this.lanes.retry(delivery, timer);
  }

  private end(delivery: Delivery, isSettled: boolean): void {
    if (!this.deliveries.delete(delivery)) return;
    this.bytes -= delivery.bytes;
    this.lanes.remove(delivery);
    delivery.onEnd(isSettled);
  }

  private giveUp(delivery: Delivery, why: string, error?: unknown): void {
    this.givenUp++;
    const { type, id } = delivery.event;
    this.deps.journal.error(
      `hook_given_up ${this.name}`,
      () =>
        `The hook target ${this.name} does not get the event ${type} with the id ${id}: ${why}${textOf(error)}`,
      causeOf(error),
    );
    this.end(delivery, true);
  }

  /** Waits for the next to be too old. What is under way then is judged when it has ended. */
  private watchAge(): void {
    if (this.ageTimer !== undefined) return;
    const { clock } = this.deps;
    for (const { acceptedAt } of this.deliveries) {
      const leftMs = acceptedAt + this.maxAgeMs - clock.monotonic();
      if (leftMs <= 0) continue;
      this.ageTimer = clock.schedule(leftMs, () => this.endOld());
      return;
    }
  }

  private endOld(): void {
    this.ageTimer = undefined;
    const now = this.deps.clock.monotonic();
    for (const delivery of this.deliveries) {
      if (now - delivery.acceptedAt < this.maxAgeMs) break;
      if (!delivery.isUnderWay) this.giveUp(delivery, this.tooOld());
    }
    this.watchAge();
    this.run();
  }

  private endTarget(error: unknown): void {
    this.hasEnded = true;
    this.deps.journal.error(
      `hook_ended ${this.name}`,
      () =>
        `The hook target ${this.name} wants no events any more${textOf(error)}. It is not called again by this process; ` +
        `${this.deliveries.size} events that waited are given up`,
    );
    for (const delivery of this.deliveries) {
      if (delivery.isUnderWay) continue;
      this.givenUp++;
      this.end(delivery, true);
    }
  }

  private tooOld(): string {
    return `it was not taken within ${this.maxAgeMs} ms`;
  }

  private logFailure(error: unknown): void {
    this.deps.journal.error(
      `hook_failed ${this.name}`,
      () =>
        `The hook target ${this.name} failed${textOf(error)}; ${this.deliveries.size} events wait, and are delivered again`,
      causeOf(error),
    );
  }

  private logFailing(): void {
    this.deps.journal.warn(
      `hook_failing ${this.name}`,
      () => `The hook target ${this.name} keeps failing: it is called for one event at a time until it works`,
    );
  }

  private logStopped(waitMs: number): void {
    const count = this.underWay.size;
    this.deps.journal.warn(
      `hook_stopped ${this.name}`,
      () =>
        `The hook target ${this.name} did not end ${count} calls within ${Math.round(waitMs)} ms, and this node stops without it: another ` +
        'one delivers these events again',
    );
  }

  private logFull(): void {
    const { maxEvents, maxBytes } = this.deps.limits;
    this.deps.journal.error(
      `hook_full ${this.name}`,
      () =>
        `The hook target ${this.name} does not keep up: ${this.deliveries.size} events wait (at most ${maxEvents}, ${maxBytes} ` +
        'bytes), and it does not get further ones',
    );
  }
}

function textOf(error: unknown): string {
  return error instanceof DeliveryFailure ? `: ${error.message}` : '';
}

/** An error of the application is logged as it is. */
function causeOf(error: unknown): unknown {
  return error instanceof DeliveryFailure ? undefined : error;
}
