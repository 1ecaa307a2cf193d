import { createHash } from 'node:crypto';
import type { ThrottledLog } from '../core/async/throttled-log.js';
import type { TimeLeft } from '../core/async/time-left.js';
import type { Clock } from '../core/ports/clock.js';
import { weightOf } from '../core/ports/value-weight.js';
import type { EventPlace, OnlineUsers, PublishedNotice } from '../nest/hooks.js';
import type { HookEvent, OfflineHookEvent } from './hook-event.js';

/** Most users that are asked about at once. */
const MAX_USERS = 256;
/** What a notice takes beside its payload, at most: names and ids are bounded. */
const OVERHEAD_BYTES = 3_072;
/** Time between two questions where nodes did not answer, and after which no further one is asked, in milliseconds. */
const RETRY_MS = 2_000;
const MAX_AGE_MS = 60_000;
/** Time between two looks for room. */
const ROOM_MS = 250;
/** How long {@link OfflineNotices.close} waits for what is under way, in milliseconds. */
const CLOSE_MS = 3_000;

/** Bounds of the notices that wait. */
export interface OfflineLimits {
  readonly maxNotices: number;
  readonly maxBytes: number;
}

/** Bounds where none are given. */
const MAX_NOTICES = 20_000;
const MAX_BYTES = 32 * 1024 * 1024;

export const OFFLINE_DEFAULTS: OfflineLimits = { maxNotices: MAX_NOTICES, maxBytes: MAX_BYTES };

/** Where events go. */
export interface AcceptsNotices {
  wants(type: HookEvent['type']): boolean;
  /** How many more of so many bytes may be accepted now. */
  offlineRoom(bytes: number): number;
  /** Most bytes of one that there can ever be room for. */
  readonly offlineCapacity: number;
  accept(event: HookEvent, place: EventPlace): Promise<boolean>;
}

export interface OfflineNoticesDeps {
  readonly deliveries: AcceptsNotices;
  /** Which of some users have a session on any node. */
  readonly online: (users: readonly string[]) => Promise<OnlineUsers>;
  /** Whether what was appended there was erased. */
  readonly isErased: (place: EventPlace) => boolean;
  readonly clock: Clock;
  readonly journal: Pick<ThrottledLog, 'warn' | 'error'>;
  /** Default: {@link OFFLINE_DEFAULTS}. */
  readonly limits?: Partial<OfflineLimits>;
}

/** A notice whose user may be offline. */
interface Waiting {
  readonly user: string;
  readonly notice: PublishedNotice;
  /** When it was published: milliseconds since the Unix epoch. */
  readonly ts: number;
  readonly bytes: number;
  /** Since when nodes have not said whether the user is there, on the monotonic clock. */
  unknownSince?: number;
}

/**
 * Hands notices over whose user has no session on any node. What waits is bounded and kept by this node alone: who publishes does not
 * wait for it. Where a node does not answer, nobody knows whether the user is offline: the notice waits for a minute, and is then not
 * handed over.
 */
export class OfflineNotices {
  private readonly limits: OfflineLimits;
  /** In the order in which they came. */
  private waiting: Waiting[] = [];
  /** Those that are being asked about. */
  private asked: Waiting[] = [];
  /** Those whose user is offline, until there is room for them. */
  private ready: Waiting[] = [];
  /** Of all three. */
  private count = 0;
  private bytes = 0;
  /** Those that were handed over, and have not ended. */
  private underWay = 0;
  private isRunning = false;
  private isClosing = false;
  private isClosed = false;
  private wake: () => void = () => undefined;
  private readonly onIdle: (() => void)[] = [];

  constructor(private readonly deps: OfflineNoticesDeps) {
    this.limits = { ...OFFLINE_DEFAULTS, ...deps.limits };
  }

  /** Notices that wait, and bytes of them. */
  get size(): { readonly notices: number; readonly bytes: number } {
    return { notices: this.count, bytes: this.bytes };
  }

  /** A notice was published for a user. Its payload is not copied. */
  published(user: string, notice: PublishedNotice): void {
    const { deliveries, clock } = this.deps;
    if (this.isClosing || !deliveries.wants('user.offline')) return;
    // Since it was appended.
    if (this.deps.isErased(notice.place)) return;
    const bytes = weightOf(notice.payload) + OVERHEAD_BYTES;
    const { maxNotices, maxBytes } = this.limits;
    const isTooLarge = bytes > deliveries.offlineCapacity;
    if (isTooLarge || this.count >= maxNotices || this.bytes + bytes > maxBytes) return this.logFull();
    const ts = clock.now();
    this.waiting.push({ user, notice, ts, bytes });
    this.count++;
    this.bytes += bytes;
    if (!this.isRunning) void this.run();
  }

  /** Events of a channel were erased: those that wait are not handed over. */
  erased(channel: string, seqs: ReadonlySet<number>): void {
    const kept = (list: Waiting[]): Waiting[] =>
      list.filter((one) => {
        const { place } = one.notice;
        if (place.channel !== channel || !seqs.has(place.seq)) return true;
        this.forget(one);
        return false;
      });
    this.waiting = kept(this.waiting);
    this.asked = kept(this.asked);
    this.ready = kept(this.ready);
  }

  /** Takes no more, and waits a moment for what waits to be handed over, and to be taken. The rest is lost with this node, and logged. */
  async close(time: TimeLeft): Promise<void> {
    this.isClosing = true;
    if (!this.isIdle)
      await time.share({ mostMs: CLOSE_MS }).wait(new Promise<void>((resolve) => this.onIdle.push(resolve)));
    this.isClosed = true;
    this.wake();
    const lost = this.count + this.underWay;
    if (lost === 0) return;
    this.deps.journal.warn(
      'offline_stopped',
      () => `${lost} notices to users who may be offline were not taken by hooks before this node stopped`,
    );
  }

  private get isIdle(): boolean {
    return !this.isRunning && this.underWay === 0;
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    this.isRunning = true;
    while (!this.isClosed && this.count > 0) {
      if (this.ready.length === 0) await this.ask();
      else if (!this.handOver()) await this.rest(ROOM_MS);
    }
    this.isRunning = false;
    this.noteIdle();
  }

  /** Sorts those whose user is offline from those whose user is not. */
  private async ask(): Promise<void> {
    let why = '';
    this.asked = this.waiting.splice(0, MAX_USERS);
    const users = [...new Set(this.asked.map(({ user }) => user))];
    const { online, missing } = await this.deps.online(users).catch((error: unknown): OnlineUsers => {
      why = String(error);
      return { online: new Set(), missing: [''] };
    });
    if (missing.length > 0 && why === '') why = `these nodes did not answer: ${JSON.stringify(missing)}`;
    const unknown: Waiting[] = [];
    const { asked } = this;
    this.asked = [];
    for (const one of asked) {
      if (online.has(one.user)) this.forget(one);
      else (missing.length > 0 ? unknown : this.ready).push(one);
    }
    if (unknown.length > 0) await this.putBack(unknown, why);
  }

  private async putBack(unknown: readonly Waiting[], why: string): Promise<void> {
    const now = this.deps.clock.monotonic();
    const kept = unknown.filter((one) => now - (one.unknownSince ??= now) < MAX_AGE_MS);
    for (const one of unknown) if (!kept.includes(one)) this.forget(one);
    this.waiting = [...kept, ...this.waiting];
    const lost = unknown.length - kept.length;
    this.deps.journal.warn(
      lost > 0 ? 'offline_unknown_lost' : 'offline_unknown',
      () =>
        `Whether users are offline is not known, as ${why}. ` +
        (lost > 0 ? `${lost} notices are not handed to hooks` : `${this.count} notices to hooks wait`),
    );
    if (kept.length > 0) await this.rest(RETRY_MS);
  }

  /** @returns whether there was room for any. */
  private handOver(): boolean {
    const { deliveries } = this.deps;
    let handed = 0;
    for (const one of this.ready) {
      if (deliveries.offlineRoom(one.bytes) < 1) break;
      handed++;
      this.forget(one);
      this.underWay++;
      void deliveries.accept(eventOf(one), one.notice.place).then(() => {
        this.underWay--;
        this.wake();
        this.noteIdle();
      });
    }
    this.ready = this.ready.slice(handed);
    return handed > 0;
  }

  private forget({ bytes }: Waiting): void {
    this.count--;
    this.bytes -= bytes;
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.deps.clock.schedule(ms, resolve);
      this.wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  private noteIdle(): void {
    if (this.isIdle) for (const idle of this.onIdle.splice(0)) idle();
  }

  private logFull(): void {
    const { maxNotices, maxBytes } = this.limits;
    this.deps.journal.error(
      'offline_full',
      () =>
        `Hooks do not keep up with notices to users who may be offline: ${this.count} wait (at most ${maxNotices}, ${maxBytes} bytes), ` +
        'and they are not called for further ones',
    );
  }
}

function eventOf({ user, notice, ts }: Waiting): OfflineHookEvent {
  // The same for a publish that is repeated, and another one for each user where one id is published for many.
  const id = createHash('sha256')
    .update(JSON.stringify([user, notice.id]))
    .digest('base64url');
  const { event, id: published, payload } = notice;
  return { id, type: 'user.offline', at: ts, user, notice: { event, id: published, payload } };
}
