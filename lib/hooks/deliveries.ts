import type { ThrottledLog } from '../core/async/throttled-log.js';
import type { TimeLeft } from '../core/async/time-left.js';
import type { Clock } from '../core/ports/clock.js';
import type { Entropy } from '../core/ports/entropy.js';
import type { TargetStatus } from '../nest/hooks.js';
import { weightOf } from '../core/ports/value-weight.js';
import type { EventPlace } from '../nest/hooks.js';
import type { HookEvent } from './hook-event.js';
import { OFFLINE_SHARE, TargetQueue, type DeliveryTarget, type TargetLimits } from './target-queue.js';

/** What an event that waits takes beside itself: its place in a lane, a timer, promises. */
const OVERHEAD_BYTES = 1_024;
/** Most that an event of a channel counts as: names and ids are bounded. */
const CHANNEL_EVENT_BYTES = OVERHEAD_BYTES + 3_072;
/** How long a target that has no room holds the others back. */
const HOLD_BACK_MS = 30_000;
/** How long {@link Deliveries.close} waits for attempts that are under way. */
const CLOSE_MS = 5_000;
const CHANNEL_TYPES = ['channel.occupied', 'channel.vacated', 'member.joined', 'member.left'] as const;

/** Bounds where none are given, for each target. */
const MAX_EVENTS = 2_000;
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_AT_ONCE = 16;
const TIMEOUT_MS = 10_000;
const MAX_AGE_MS = 3_600_000;

export const DELIVERY_DEFAULTS: TargetLimits = {
  maxEvents: MAX_EVENTS,
  maxBytes: MAX_BYTES,
  concurrency: MAX_AT_ONCE,
  timeoutMs: TIMEOUT_MS,
  maxAgeMs: MAX_AGE_MS,
};

export interface DeliveriesDeps {
  readonly targets: readonly DeliveryTarget[];
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly journal: Pick<ThrottledLog, 'warn' | 'error'>;
  /** Default: {@link DELIVERY_DEFAULTS}. */
  readonly limits?: Partial<TargetLimits>;
}

interface Target {
  readonly queue: TargetQueue;
  /** For events of channels, and for notices: when it was first seen without room, on the monotonic clock, since half of it was free. */
  readonly fullSince: Partial<Record<Kind, number | undefined>>;
}

type Kind = 'channels' | 'offline';

/** Delivers events to all targets that want them, to each at its own pace. */
export class Deliveries {
  private readonly targets: readonly Target[];
  private readonly limits: TargetLimits;
  /** Events of channels that find room in an empty target. */
  private readonly capacity: number;

  constructor(private readonly deps: DeliveriesDeps) {
    this.limits = { ...DELIVERY_DEFAULTS, ...deps.limits };
    const { maxEvents, maxBytes } = this.limits;
    this.capacity = Math.min(maxEvents, Math.floor(maxBytes / CHANNEL_EVENT_BYTES));
    const { clock, entropy, journal } = deps;
    this.targets = deps.targets.map((target) => ({
      queue: new TargetQueue({ target, limits: this.limits, clock, entropy, journal }),
      fullSince: {},
    }));
  }

  get status(): readonly TargetStatus[] {
    return this.targets.map(({ queue }) => queue.status);
  }

  /** Whether any target is called for events of this type. */
  wants(type: HookEvent['type']): boolean {
    return this.targets.some(({ queue }) => queue.wants(type));
  }

  /**
   * How many more events of channels may be accepted now, without any target losing one. A target that fails, or that has had no room
   * for half a minute, does not hold back the others: it loses what finds no room. It may have grown whenever a promise of
   * {@link accept} resolves.
   */
  room(): number {
    return this.roomOf('channels', CHANNEL_TYPES, CHANNEL_EVENT_BYTES) ?? this.capacity;
  }

  /** The same for notices of so many bytes, without what they take beside themselves. */
  offlineRoom(bytes: number): number {
    return this.roomOf('offline', ['user.offline'], bytes + OVERHEAD_BYTES) ?? 0;
  }

  /** Most bytes of a notice that there can ever be room for. */
  get offlineCapacity(): number {
    return Math.floor(this.limits.maxBytes * OFFLINE_SHARE) - OVERHEAD_BYTES;
  }

  /**
   * Delivers an event to every target that wants it: of a channel in the order of the calls, so none has to wait for the one before it.
   * Never rejects.
   *
   * @param place where the log has what the event carries, for {@link erased}.
   * @returns `true` once every target has taken it, or it was given up for it; `false` where {@link close} came first: then it has to be
   * delivered again, by another node.
   */
  async accept(event: HookEvent, place?: EventPlace): Promise<boolean> {
    const wanting = this.targets.filter(({ queue }) => queue.wants(event.type));
    if (wanting.length === 0) return true;
    const bytes = weightOf(event) + OVERHEAD_BYTES;
    const ends = wanting.map(
      ({ queue }) => new Promise<boolean>((resolve) => queue.push(event, bytes, resolve, place)),
    );
    return (await Promise.all(ends)).every((isSettled) => isSettled);
  }

  /** Events of a channel were erased: those that wait are not delivered, and attempts that are under way are aborted and not repeated. */
  erased(channel: string, seqs: ReadonlySet<number>): void {
    for (const { queue } of this.targets) queue.erased(channel, seqs);
  }

  /** Takes no more, aborts what is under way, and waits a moment for it to end. */
  async close(time: TimeLeft): Promise<void> {
    const share = time.share({ mostMs: CLOSE_MS });
    await Promise.all(this.targets.map(({ queue }) => queue.close(share)));
  }

  private roomOf(kind: Kind, types: readonly HookEvent['type'][], bytes: number): number | undefined {
    const now = this.deps.clock.monotonic();
    let most: number | undefined;
    let least: number | undefined;
    for (const target of this.targets) {
      const type = types.find((one) => target.queue.wants(one));
      if (type === undefined) continue;
      const room = target.queue.room(type, bytes);
      most = Math.max(most ?? 0, room);
      if (this.holdsBack(target, kind, room, now)) least = Math.min(least ?? room, room);
    }
    return least ?? most;
  }

  private holdsBack({ queue, fullSince }: Target, kind: Kind, room: number, now: number): boolean {
    if (room === 0) fullSince[kind] ??= now;
    else if (queue.isHalfFree(kind === 'offline')) fullSince[kind] = undefined;
    const since = fullSince[kind];
    return !queue.isFailing && (since === undefined || now - since < HOLD_BACK_MS);
  }
}
