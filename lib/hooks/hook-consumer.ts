import type { ThrottledLog } from '../core/async/throttled-log.js';
import type { TimeLeft } from '../core/async/time-left.js';
import type { Clock, Scheduled } from '../core/ports/clock.js';
import type { BrokerTransitions, Transition } from '../core/ports/transitions.js';
import type { HookEvent } from './hook-event.js';

/** Time between two looks. Well below the time after which another node becomes the consumer. */
const POLL_MS = 250;
/** Most transitions of one look. */
const PAGE = 500;
/** The longest pause after looks that failed, in milliseconds. */
const MAX_PAUSE_MS = 2_000;
/** How long {@link HookConsumer.stop} waits for what its last look found, in milliseconds. */
const LAST_MS = 3_000;

/** Where events go. */
export interface AcceptsEvents {
  /** How many may be accepted now. */
  room(): number;
  /** Resolves to `true` when nobody waits for the event any more, to `false` where this node ends before that. Never rejects. */
  accept(event: HookEvent): Promise<boolean>;
}

export interface HookConsumerDeps {
  readonly transitions: Pick<BrokerTransitions, 'take' | 'done'>;
  readonly deliveries: AcceptsEvents;
  readonly clock: Clock;
  readonly journal: Pick<ThrottledLog, 'warn'>;
}

/**
 * Takes transitions from the broker for as long as it is allowed to, hands them on in their order, and tells the broker of those
 * that were dealt with. What was not, when this node ends, another one is handed.
 */
export class HookConsumer {
  /** Ids that are being delivered: after this node stood still, the broker hands them to it once more. */
  private readonly underWay = new Set<string>();
  /** Ids that the broker has to be told of. */
  private dealtWith: string[] = [];
  private next: Scheduled | undefined;
  private looking: Promise<void> | undefined;
  private failures = 0;
  private closed = false;

  constructor(private readonly deps: HookConsumerDeps) {}

  start(): void {
    this.look();
  }

  /**
   * Looks once more, for what the end of this node's clients brought, and waits a moment until that was dealt with. Takes nothing from
   * then on. Never rejects.
   */
  async stop(time: TimeLeft): Promise<void> {
    this.closed = true;
    this.next?.cancel();
    await time.share({ mostMs: LAST_MS }).wait(this.lookLast());
  }

  /** Tells the broker what was dealt with. Never rejects: the broker keeps what it cannot store now. */
  async tell(): Promise<void> {
    const ids = this.dealtWith;
    if (ids.length === 0) return;
    this.dealtWith = [];
    await this.deps.transitions.done(ids).catch(() => undefined);
  }

  private async lookLast(): Promise<void> {
    await this.looking;
    // One that never began to look is no consumer, and a broker that is away has nothing.
    if (this.looking === undefined || this.failures > 0) return;
    const handed: Promise<void>[] = [];
    await this.take(handed);
    await Promise.all(handed);
  }

  private look(): void {
    this.looking = this.take().then((isFull) => {
      if (!this.closed) this.next = this.deps.clock.schedule(this.pauseMs(isFull), () => this.look());
    });
  }

  private pauseMs(isFull: boolean): number {
    if (this.failures > 0) return Math.min(MAX_PAUSE_MS, POLL_MS * 2 ** (this.failures - 1));
    return isFull ? 0 : POLL_MS;
  }

  /** @param handed gets the end of each that was handed on. @returns whether there may be more at once. Never rejects. */
  private async take(handed: Promise<void>[] = []): Promise<boolean> {
    const { transitions, deliveries } = this.deps;
    try {
      await this.tell();
      // Asked also where nothing can be taken: a node that does not ask is no consumer any more.
      const limit = Math.max(0, Math.min(PAGE, deliveries.room()));
      const taken = await transitions.take(limit);
      this.failures = 0;
      for (const transition of taken) handed.push(this.handOn(transition));
      return limit > 0 && taken.length === limit;
    } catch (error) {
      this.failures += 1;
      this.deps.journal.warn(
        'hooks',
        () => `Hooks are late: what began and ended could not be taken from the broker: ${String(error)}`,
      );
      return false;
    }
  }

  private async handOn(transition: Transition): Promise<void> {
    const { id } = transition;
    if (this.underWay.has(id)) return;
    this.underWay.add(id);
    const isSettled = await this.deps.deliveries.accept(eventOf(transition));
    this.underWay.delete(id);
    if (isSettled) this.dealtWith.push(id);
  }
}

function eventOf({ id, at, channel, member, held }: Transition): HookEvent {
  if (member === undefined) return { id, type: held ? 'channel.occupied' : 'channel.vacated', at, channel };
  return { id, type: held ? 'member.joined' : 'member.left', at, channel, user: member };
}
