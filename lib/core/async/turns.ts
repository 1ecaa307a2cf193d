import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock } from '../ports/clock.js';

/** How long the work of clients may take in one turn of the event loop before the rest of it waits, in milliseconds. */
const TURN_MS = 8;
/**
 * How long what waited may take in one turn, in milliseconds. Short, because a server accepts one new connection in each turn:
 * the more turns, the sooner somebody comes in.
 */
const WAITED_MS = 2;
/** One turn in so many is for the reads that wait. */
const READ_EVERY = 4;
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
  /** Does one piece of it. Of an owner that is closed it only tidies up, and comes as soon as it is found. Must not throw. */
  onTurn(): void;
}

/**
 * Spreads over turns of the event loop what many clients can cause at the same moment, so that everybody is served in between
 * (G16). While little comes, nothing waits. What waits has its turn by client, one piece each: who asks for much waits behind
 * its own. Reads have one turn in four, and not all of that where others wait: a thousand clients that ask for pages keep nobody
 * from coming in.
 */
export class Turns {
  /** Monotonic time of the first work of this turn. */
  private startedAt: number | undefined;
  /** Turns in which something waited. */
  private turns = 0;
  private isForReads = false;
  private readonly reads = new Lanes();
  private readonly others = new Lanes();
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
    if (this.size === 0) return;
    // Before the work: even if it throws, the rest is done.
    this.begin();
    this.isServing = true;
    this.isForReads = this.turns++ % READ_EVERY === 0;
    this.serve((this.isForReads ? this.reads.take() : undefined) ?? this.others.take());
  };

  private serve(work: WaitingWork | undefined): void {
    if (work === undefined) return this.endServing();
    queueMicrotask(this.awaitTick);
    work.onTurn();
  }

  /** A tick comes when no microtask is left: all that the work causes at once belongs to its turn. */
  private readonly awaitTick = (): void => process.nextTick(this.serveNext);

  private readonly serveNext = (): void => {
    if (this.clock.monotonic() - this.begin() >= WAITED_MS) return this.endServing();
    this.serve(this.others.take() ?? (this.isForReads ? this.reads.take() : undefined));
  };

  private endServing(): void {
    this.isServing = false;
    for (const ending of this.endings.splice(0)) ending();
  }
}

/** What waits, by client: one piece of each, in a circle. */
class Lanes {
  /** First the one whose turn is next. */
  private readonly byClient = new Map<string, WaitingWork[]>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** @param hasRoom whether a client that has something waiting may add more. */
  add(work: WaitingWork, hasRoom: boolean): boolean {
    const { client } = work.owner;
    const lane = this.byClient.get(client);
    if (lane === undefined) this.byClient.set(client, [work]);
    else if (!hasRoom || lane.length >= MAX_WAITING_OF_CLIENT) return false;
    else lane.push(work);
    this.count++;
    return true;
  }

  take(): WaitingWork | undefined {
    for (const [client, lane] of this.byClient) {
      // Removed first, so that the next one is that of another client.
      this.byClient.delete(client);
      const work = this.takeOf(lane);
      if (lane.length > 0) this.byClient.set(client, lane);
      if (work !== undefined) return work;
    }
    return undefined;
  }

  /** What closed clients wait for is dropped on the way: it costs nobody a turn. */
  private takeOf(lane: WaitingWork[]): WaitingWork | undefined {
    for (;;) {
      const work = lane.shift();
      if (work === undefined) return undefined;
      this.count--;
      if (!work.owner.isClosed) return work;
      work.onTurn();
    }
  }
}

/** The error for work that finds no room to wait. */
export function tooMuchWaits(): RealtimeError {
  return new RealtimeError('rate_limited', 'More waits on this node than there is room for', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
