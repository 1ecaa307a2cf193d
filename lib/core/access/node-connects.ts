import type { Clock } from '../ports/clock.js';
import type { Handshake } from '../ports/connection.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Refusal } from '../ports/transport-host.js';
import { EntryRoom } from './entry-room.js';
import type { OverloadSwitch } from './overload-switch.js';
import { RateLimit } from './rate-limit.js';
import { SubjectBuckets } from './subject-buckets.js';
import type { TicketSigner } from './ticket.js';

/** Shortest advice to a client for whom this node has no room, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
/** How often one session comes back as one that was here: at once, and a second, as who was refused is advised. More often it is as any other. */
const RETURNS_AT_ONCE = 3;
const RETURNS_PER_SECOND = 0.5;
/** For how long after it was given a ticket lets its client come back ahead of others, in milliseconds. */
const TICKET_LIFE_MS = 7 * 24 * 3_600_000;

export interface NodeConnectsDeps {
  readonly clock: Clock;
  readonly tickets: Pick<TicketSigner, 'read'>;
  readonly overload: Pick<OverloadSwitch, 'isOn' | 'retryAfterMs'>;
  readonly settings: Pick<EngineSettings, 'limits'>;
}

/**
 * The rates of new connections of a node (G17): one for those that come for the first time, and a larger one for sessions that
 * continue, by the ticket that came with their request. So after a restart those who were here come back first, and no crowd of
 * strangers is in their way. Only what this cluster signed counts, of each session a few times a minute, and not for ever.
 */
export class NodeConnects {
  private readonly newcomers: EntryRoom | undefined;
  private readonly returning: EntryRoom | undefined;
  private readonly returns: SubjectBuckets;

  constructor(private readonly deps: NodeConnectsDeps) {
    const { limits } = deps.settings;
    const { admissionWaitMs: maxWaitMs, maxWaitingBytes, maxRateBuckets } = limits;
    const room = (ratePerSecond: number): EntryRoom | undefined =>
      ratePerSecond === 0
        ? undefined
        : new EntryRoom({ clock: deps.clock, ratePerSecond, maxWaitMs, maxWaitingBytes });
    this.newcomers = room(limits.nodeConnectsPerSecond);
    this.returning = room(limits.nodeReturnsPerSecond);
    this.returns = new SubjectBuckets(new RateLimit(RETURNS_PER_SECOND, RETURNS_AT_ONCE), maxRateBuckets);
  }

  /** How many wait. */
  get waiting(): number {
    return (this.newcomers?.waiting ?? 0) + (this.returning?.waiting ?? 0);
  }

  /**
   * Waits until this node has room for a further connection.
   *
   * @param bytes of the request.
   * @param ticket that came with it.
   * @param since when it came, on the monotonic clock.
   * @returns `undefined` where it may come.
   */
  enter(
    handshake: Handshake,
    bytes: number,
    ticket: string | undefined,
    since: number,
  ): MaybePromise<Refusal | undefined> {
    const { clock, overload, settings } = this.deps;
    const isOverloaded = overload.isOn('connections');
    if (this.newcomers === undefined && !isOverloaded) return undefined;
    const isReturn = ticket !== undefined && this.isReturn(ticket);
    if (isOverloaded && !isReturn) return overloaded(overload.retryAfterMs());
    const room = isReturn ? this.returning : this.newcomers;
    if (room === undefined) return undefined;
    const patienceMs = settings.limits.admissionWaitMs - (clock.monotonic() - since);
    return whenReady(room.enter(handshake, bytes, patienceMs), (waitMs) =>
      waitMs === undefined ? undefined : this.refusal(waitMs, isReturn),
    );
  }

  /** The client of a handshake is gone. */
  leave(handshake: Handshake): void {
    this.newcomers?.leave(handshake);
    this.returning?.leave(handshake);
  }

  private isReturn(text: string): boolean {
    const { clock, tickets } = this.deps;
    const ticket = tickets.read(text);
    if (ticket?.issuedAt === undefined) return false;
    // The wall clock, as another node may have signed it: one that is wrong costs a turn only.
    const isAlive = clock.now() - ticket.issuedAt < TICKET_LIFE_MS;
    return isAlive && this.returns.take(ticket.lineage, 1, clock.monotonic());
  }

  private refusal(waitMs: number, isReturn: boolean): Refusal {
    const { nodeConnectsPerSecond, nodeReturnsPerSecond } = this.deps.settings.limits;
    return {
      status: 503,
      message: 'This node takes no more new connections at the moment',
      retryAfterMs: Math.max(RETRY_AFTER_MS, Math.ceil(waitMs)),
      hint: isReturn
        ? `limits.nodeReturnsPerSecond is ${nodeReturnsPerSecond}, and this client that comes back would wait longer than limits.admissionWait`
        : `limits.nodeConnectsPerSecond is ${nodeConnectsPerSecond}, and this one would wait longer than limits.admissionWait`,
    };
  }
}

function overloaded(retryAfterMs: number): Refusal {
  return {
    status: 503,
    message: 'This node is overloaded, and takes only clients that come back',
    retryAfterMs,
    hint: 'see the line on the overload, and shedding',
  };
}
