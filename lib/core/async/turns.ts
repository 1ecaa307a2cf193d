import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock } from '../ports/clock.js';

/** How long the work of clients may take in one turn of the event loop before the rest of it waits, in milliseconds. */
const TURN_MS = 4;
/**
 * How long what waited may take in one turn, in milliseconds. Short, because a server accepts one new connection in each turn:
 * the more turns, the sooner somebody comes in.
 */
const WAITED_MS = 2;
/** One turn in so many is for the reads that wait. */
const READ_EVERY = 4;
/** What a client may take of a round in which everybody who waits is served, in milliseconds. What takes longer waits for more rounds. */
const ROUND_MS = 1;
/** What a client's work may have taken beyond that counts for so long at most, in milliseconds. */
const MAX_OWED_MS = 100;
/** Pieces of work that wait, of all clients. */
const MAX_WAITING = 65_536;
/** Pieces of work of one client that wait: the most that its connections have under way by default. */
const MAX_WAITING_OF_CLIENT = 8_192;
/** When a client whose work finds no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** Somebody whose work may wait. */
export interface TurnClient {
  /** Whom limits over several connections count. */
  readonly client: string;
  /** Whether nobody waits for the work any more. */
  readonly isClosed: boolean;
}

/** Work that waits for its turn. */
export interface WaitingWork {
  readonly owner: TurnClient;
  /** Whether it is one of the reads, whose answers are large: they wait behind everything else. */
  readonly isRead: boolean;
  /** What it is expected to take, in milliseconds. Default: little. */
  readonly expectedMs?: number;
  /** Does one piece of it. Of an owner that is closed it only tidies up, and comes as soon as it is found. Must not throw. */
  onTurn(): void;
}

/**
 * Spreads over turns of the event loop what many clients can cause at the same moment, so that everybody is served in between
 * (G16). While little comes, nothing waits. What waits has its turn by client, one piece each, and what takes long as many rounds
 * later as it takes milliseconds: who asks for much waits behind its own. Reads have one turn in four, and not all of that
 * where others wait: a thousand clients that ask for pages keep nobody from coming in.
 */
export class Turns {
  /** Monotonic time of the first work of this turn. */
  private startedAt: number | undefined;
  /** Turns in which something waited. */
  private turns = 0;
  private isForReads = false;
  private readonly reads = new Lanes();
  private readonly others = new Lanes();
  /** The lane whose piece runs now, and the monotonic time at which it began. */
  private served: Lane | undefined;
  private servedAt = 0;
  /** Whether waiting work is being served. */
  private isServing = false;
  /** To be done at the end of that. */
  private readonly endings: (() => void)[] = [];

  constructor(private readonly clock: Clock) {}

  /** Pieces of work that wait. */
  get size(): number {
    return this.reads.size + this.others.size;
  }

  /**
   * Asked before a piece of work.
   *
   * @param now monotonic time, as it was read for this piece. Default: read here.
   * @returns whether it must wait: this turn took long enough, or others wait already.
   */
  isOver(isRead: boolean, now = this.clock.monotonic()): boolean {
    if (this.others.size > 0 || (isRead && this.reads.size > 0)) return true;
    return now - this.begin(now) >= TURN_MS;
  }

  /** Lets work wait for its turn. @returns `false` where too much waits already: of this client, or of all where it is not its first. */
  add(work: WaitingWork): boolean {
    const lanes = work.isRead ? this.reads : this.others;
    if (!lanes.add(work, this.size < MAX_WAITING)) return false;
    this.begin();
    return true;
  }

  /**
   * The turn of what continues after a wait.
   *
   * @returns `undefined` for now.
   * @throws RealtimeError `rate_limited` where too much waits already.
   */
  turn(owner: TurnClient, isRead: boolean): Promise<void> | undefined {
    if (!this.isOver(isRead)) return undefined;
    return new Promise((resolve, reject) => {
      if (!this.add({ owner, isRead, onTurn: resolve })) reject(tooMuchWaits());
    });
  }

  /**
   * Calls back at the end of the turn while waiting work is served, else at the end of this task: so what many pieces of work
   * hand on is handed on together.
   */
  afterwards(ending: () => void): void {
    if (this.isServing) this.endings.push(ending);
    else queueMicrotask(ending);
  }

  /** @returns when the first work of this turn began. */
  private begin(now?: number): number {
    if (this.startedAt === undefined) {
      this.startedAt = now ?? this.clock.monotonic();
      setImmediate(this.onTurn);
    }
    return this.startedAt;
  }

  private readonly onTurn = (): void => {
    this.startedAt = undefined;
    if (this.size === 0) return this.forget();
    // Before the work: even if it throws, the rest is done.
    this.servedAt = this.begin();
    this.isServing = true;
    this.isForReads = this.turns++ % READ_EVERY === 0;
    this.serve((this.isForReads ? this.reads.next() : undefined) ?? this.others.next());
  };

  private serve(lane: Lane | undefined): void {
    const work = lane?.take();
    if (work === undefined) return this.endServing();
    this.served = lane;
    queueMicrotask(this.awaitTick);
    work.onTurn();
  }

  /** A tick comes when no microtask is left: all that the work causes at once belongs to its turn. */
  private readonly awaitTick = (): void => process.nextTick(this.serveNext);

  private readonly serveNext = (): void => {
    const now = this.clock.monotonic();
    this.served?.took(now - this.servedAt);
    this.served = undefined;
    this.servedAt = now;
    if (now - this.begin() >= WAITED_MS) return this.endServing();
    this.serve(this.others.next() ?? (this.isForReads ? this.reads.next() : undefined));
  };

  /** Nobody waits whom they could have kept waiting. */
  private forget(): void {
    this.reads.forget();
    this.others.forget();
  }

  private endServing(): void {
    this.isServing = false;
    for (const ending of this.endings.splice(0)) ending();
  }
}

/** What waits, by client: one piece of each, in a circle. */
class Lanes {
  /** First the one whose turn is next. */
  private readonly byClient = new Map<string, Lane>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** @param hasRoom whether a client that has something waiting may add more. */
  add(work: WaitingWork, hasRoom: boolean): boolean {
    const { client } = work.owner;
    let lane = this.byClient.get(client);
    if (lane === undefined) this.byClient.set(client, (lane = new Lane()));
    else if (lane.length > 0 && (!hasRoom || lane.length >= MAX_WAITING_OF_CLIENT)) return false;
    lane.add(work);
    this.count++;
    return true;
  }

  /** @returns the lane whose piece is next, which is then taken from it. */
  next(): Lane | undefined {
    let ms = ROUND_MS;
    while (this.count > 0) {
      let nearestMs = MAX_OWED_MS;
      let unseen = this.byClient.size;
      for (const [client, lane] of this.byClient) {
        // Removed first, so that the next one is that of another client.
        this.byClient.delete(client);
        this.count -= lane.dropClosed();
        const isNext = lane.isNext(ms);
        if (isNext) this.count--;
        if (lane.isKept(isNext)) this.byClient.set(client, lane);
        if (isNext) return lane;
        nearestMs = Math.min(nearestMs, lane.waitsMs);
        if (--unseen === 0) break;
      }
      // As many rounds as pass before somebody's is next, in one.
      ms = Math.max(ROUND_MS, nearestMs);
    }
    return undefined;
  }

  /** Forgets what clients took: nothing waits. */
  forget(): void {
    // To clear a map makes it a new table.
    if (this.byClient.size > 0) this.byClient.clear();
  }
}

/** What waits of one client. */
class Lane {
  private readonly waiting: WaitingWork[] = [];
  /** What it is to let others have before its next piece, in milliseconds. */
  private owedMs = 0;
  /** What the piece that was taken was expected to take. */
  private expectedMs = 0;

  get length(): number {
    return this.waiting.length;
  }

  add(work: WaitingWork): void {
    this.waiting.push(work);
    if (this.waiting.length === 1) this.expect(work);
  }

  /** What closed clients wait for is dropped on the way: it costs nobody a turn. @returns how many pieces. */
  dropClosed(): number {
    let dropped = 0;
    while (this.waiting[0]?.owner.isClosed === true) {
      const work = this.waiting.shift() as WaitingWork;
      dropped++;
      this.owedMs -= work.expectedMs ?? 0;
      this.expect(this.waiting[0]);
      work.onTurn();
    }
    return dropped;
  }

  /** What it still lets others have before its next piece, in milliseconds; `Infinity` where nothing waits. */
  get waitsMs(): number {
    return this.waiting.length === 0 ? Number.POSITIVE_INFINITY : this.owedMs;
  }

  /** Others were let have so much, in milliseconds. @returns whether its next piece may run. */
  isNext(ms: number): boolean {
    this.owedMs = Math.max(0, this.owedMs - ms);
    return this.waitsMs === 0;
  }

  /** Whether it must be remembered. @param isTaken whether its next piece is taken now: what that takes is not known yet. */
  isKept(isTaken: boolean): boolean {
    return isTaken || this.waiting.length > 0 || this.owedMs > 0;
  }

  take(): WaitingWork | undefined {
    const work = this.waiting.shift();
    this.expectedMs = work?.expectedMs ?? 0;
    this.expect(this.waiting[0]);
    return work;
  }

  /** The piece that was taken ran for so long. */
  took(ms: number): void {
    this.owedMs = Math.min(this.owedMs + Math.max(0, ms - Math.max(this.expectedMs, ROUND_MS)), MAX_OWED_MS);
  }

  private expect(work: WaitingWork | undefined): void {
    this.owedMs += work?.expectedMs ?? 0;
  }
}

/** The error for work that finds no room to wait. */
export function tooMuchWaits(): RealtimeError {
  return new RealtimeError('rate_limited', 'More waits on this node than there is room for', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** The error for work that had no turn in time: the node is busy, and its client is not to blame. */
export function noTurnInTime(): RealtimeError {
  return new RealtimeError('unavailable', 'Too much waits on this node: it had no turn in time', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
