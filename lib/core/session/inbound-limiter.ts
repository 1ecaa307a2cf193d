import type { ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { NO_ALLOWANCE, type Allowance } from '../access/allowances.js';
import type { RateLimit } from '../access/rate-limit.js';
import type { SubjectBuckets } from '../access/subject-buckets.js';
import type { Stalls } from '../async/stalls.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import type { ClosableSession } from '../ports/connection.js';
import type { AbuseRecord } from '../ports/control.js';
import { spreadWait, type Entropy } from '../ports/entropy.js';
import { UNKNOWN_ADDRESS } from '../ports/ip-address.js';
import { quoted } from '../ports/log-text.js';
import type { AbuseAct, Observer } from '../ports/observer.js';
import type { RealtimeConnection } from '../ports/realtime-connection.js';
import type { AbusePolicy, EngineSettings } from '../ports/settings.js';

/** Longest pause in reading that a refused command causes, in milliseconds. */
const MAX_THROTTLE_MS = 1_000;
/**
 * Above the rate of bytes, so many without a command count as one violation. Nobody is told of a refusal then, and no client
 * sends that much of nothing.
 */
const BLANK_VIOLATION_BYTES = 4 * 1024;
/** Bytes of memory of a parsed value that cost about as much as one byte of text. */
const PARSED_PER_BYTE = 8;
/** Pongs that a client owes at most: an answer that comes late is no abuse. */
const MAX_PONGS_DUE = 4;
/** Commands whose answers are charged by their bytes. A client in debt is refused them (G16). */
const CHARGED: ReadonlySet<ClientCommandType | undefined> = new Set<ClientCommandType | undefined>([
  'subscribe',
  'history',
  'presence',
  'snapshot',
  'request',
]);

/** What the limits of all connections share. */
export interface InboundDeps {
  readonly settings: Pick<EngineSettings, 'limits' | 'abuse' | 'nodeId'>;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly observer: Observer;
  readonly journal: ThrottledLog;
  /** When this node stood still: what came in that time is counted as if it had been read in time. */
  readonly stalls: Pick<Stalls, 'since'>;
  /** What one connection may send and cause a second. */
  readonly rates: {
    readonly commands: RateLimit;
    readonly bytes: RateLimit;
    readonly answers: RateLimit;
    /** What an anonymous connection gets whatever the answers to others at its address cost. */
    readonly answerShare: RateLimit;
  };
  /** The same over all connections of a user, or of the anonymous clients of an address. */
  readonly subjects: {
    /** Of users only: anonymous clients of one address do not know each other. */
    readonly commands: SubjectBuckets;
    /** Of tenants that have a rate. */
    readonly tenants: SubjectBuckets;
    readonly answers: SubjectBuckets;
    /** Milliseconds in which frames are parsed that are not small. */
    readonly parsing: SubjectBuckets;
    /** Subscribes that cost no command. */
    readonly freeSubscribes: SubjectBuckets;
    /** Subscribes that cost no command because the session held these channels before its client reconnected. */
    readonly resumedSubscribes: SubjectBuckets;
  };
  /** Refuses a client for a time, and ends its connections. */
  readonly banForAbuse: (record: AbuseRecord) => void;
}

/** A session whose commands are counted. */
export interface LimitedSession extends ClosableSession {
  readonly view: RealtimeConnection;
  readonly userId: string | undefined;
  /** What the bans of addresses know it by. */
  readonly network: string;
  readonly isLive: boolean;
  /** Whom limits over several connections count. */
  readonly client: string;
  readonly reading: { throttle(ms: number): boolean };
}

/** Counts the violations of one connection in windows of `windowMs`. */
class AbuseMeter {
  private count = 0;
  private windowStart = 0;

  constructor(private readonly policy: AbusePolicy) {}

  /** Counts more. @returns what they lead to (G16). */
  violation(now: number, count: number): 'warn' | 'throttle' | 'close' {
    if (now - this.windowStart >= this.policy.windowMs) {
      this.windowStart = now;
      this.count = 0;
    }
    this.count += count;
    if (this.count >= this.policy.closeAfter) return 'close';
    return this.count >= this.policy.throttleAfter ? 'throttle' : 'warn';
  }
}

/**
 * Bounds what one connection sends and causes a second: commands, frames, bytes, and the bytes of its answers. Escalates when
 * it exceeds that again and again (G16).
 */
export class InboundLimiter {
  // When the buckets are full again.
  private allowance = NO_ALLOWANCE;
  private commandsFullAt = 0;
  private bytesFullAt = 0;
  private answersFullAt = 0;
  private shareFullAt = 0;
  /** Made at the first violation. */
  private abuse: AbuseMeter | undefined;
  /** Subscribes that cost nothing, as the session held so many channels before its client reconnected. */
  private resumable = 0;
  /** Pings that the client has yet to answer. */
  private pongsDue = 0;

  constructor(private readonly deps: InboundDeps) {}

  /**
   * Counts a frame. When it exceeds the rate of bytes, its commands are refused, and reading pauses until there is room for it.
   *
   * @param structures what the values in it weigh beside their bytes. A frame without any costs a command nevertheless; one whose values
   * take far more memory than it has bytes counts as an eighth of that memory, as to parse it costs as much.
   * @param isPaid whether it waited for {@link waitForRate}: it is charged, and its commands are not refused.
   * @returns its bytes when they exceed the rate, else 0: for {@link admit} of each of its commands.
   */
  countFrame(
    bytes: number,
    structures: readonly number[],
    session: LimitedSession,
    now: number,
    isPaid = false,
  ): number {
    const { rates, stalls } = this.deps;
    // Never more than may come at once: else such a frame would be refused for ever.
    const length = Math.max(bytes, Math.min(parsingCost(structures), rates.bytes.burst));
    const taken = rates.bytes.take(this.bytesFullAt, length, now, stalls.since(now));
    const after = taken ?? (isPaid ? rates.bytes.draw(this.bytesFullAt, length, now) : undefined);
    const overBytes = after === undefined ? length : 0;
    if (after !== undefined) this.bytesFullAt = after;
    else this.throttle(session, rates.bytes.waitFor(this.bytesFullAt, length, now));
    if (structures.length === 0) this.admit(undefined, overBytes, session, now);
    return overBytes;
  }

  /**
   * Asked before a frame is parsed that is not small, or waited: to parse it only to refuse it would cost as much as its work.
   * Reading pauses meanwhile.
   *
   * @returns milliseconds until there is room for it in the rate, or for as much as may come at once.
   */
  waitForRate(bytes: number, session: LimitedSession, now: number): number {
    const { rates, stalls } = this.deps;
    const length = Math.min(bytes, rates.bytes.burst);
    if (rates.bytes.take(this.bytesFullAt, length, now, stalls.since(now)) !== undefined) return 0;
    const waitMs = rates.bytes.waitFor(this.bytesFullAt, length, now);
    this.throttle(session, waitMs, Number.POSITIVE_INFINITY);
    return waitMs;
  }

  /** Milliseconds until the time that parsing took is paid: by the client, or by the anonymous ones of its address together. */
  parsingDebtMs(session: LimitedSession, now: number): number {
    return this.deps.subjects.parsing.debtMs(session.client, now);
  }

  /** Charges for the time that parsing took, as {@link parsingDebtMs} has it. */
  chargeParsing(ms: number, session: LimitedSession, now: number): void {
    this.deps.subjects.parsing.draw(session.client, ms, now);
  }

  /** A ping was sent: its answer costs nothing. */
  expectPong(): void {
    if (this.pongsDue < MAX_PONGS_DUE) this.pongsDue++;
  }

  /** The session continues one that held this many channels: to subscribe to them again costs nothing. */
  allowResume(channels: number, session: LimitedSession): void {
    const { subjects, clock, settings } = this.deps;
    const count = Math.min(channels, settings.limits.maxChannels);
    if (count > 0 && subjects.resumedSubscribes.take(session.client, count, clock.monotonic()))
      this.resumable = count;
  }

  /** What its user may, from now on. */
  allow(allowance: Allowance): void {
    this.allowance = allowance;
  }

  /** Channels of {@link allowResume} that it has not subscribed to. */
  get unusedResume(): number {
    return this.resumable;
  }

  /** Charges the client for an answer. Once in debt, it is refused commands of this kind until the debt is paid. */
  chargeAnswer(bytes: number, session: LimitedSession): void {
    const { rates, subjects, clock } = this.deps;
    const now = clock.monotonic();
    this.answersFullAt = rates.answers.draw(this.answersFullAt, bytes, now);
    this.shareFullAt = rates.answerShare.draw(this.shareFullAt, bytes, now);
    subjects.answers.draw(session.client, bytes, now);
  }

  /** Charges what others are sent because of a command, beyond the one that {@link admit} counted: half of a burst at most. */
  chargeDeliveries(subscribers: number, session: LimitedSession): void {
    const { rates, subjects, clock, settings } = this.deps;
    const { deliveriesPerCommand, burst } = settings.limits;
    const count = Math.floor(Math.min(subscribers / deliveriesPerCommand, burst / 2));
    if (count <= 0) return;
    const now = clock.monotonic();
    this.commandsFullAt = (this.allowance.commands ?? rates.commands).draw(this.commandsFullAt, count, now);
    if (session.userId !== undefined && settings.limits.userRatePerSecond > 0)
      subjects.commands.draw(session.userId, count, now);
  }

  /**
   * @param type of the command; `undefined` for an envelope that is none, and for a frame without one.
   * @param overBytes of its frame, as {@link countFrame} had it.
   * @returns the refusal of a command above the rate, once its consequences took effect; `undefined` admits it.
   */
  admit(
    type: ClientCommandType | undefined,
    overBytes: number,
    session: LimitedSession,
    now: number,
  ): RealtimeError | undefined {
    const { rates, subjects, settings, stalls } = this.deps;
    if (overBytes > 0) {
      const violations = type === undefined ? Math.max(1, overBytes / BLANK_VIOLATION_BYTES) : 1;
      return this.refuse(session, rates.bytes.waitFor(this.bytesFullAt, overBytes, now), violations);
    }
    if (type === 'pong' && this.pongsDue > 0) {
      this.pongsDue--;
      return undefined;
    }
    if (type === 'subscribe' && this.debtMs(session, now) === 0 && this.takeFreeSubscribe(session, now))
      return undefined;
    const from = stalls.since(now);
    const commands = this.allowance.commands ?? rates.commands;
    const after = commands.take(this.commandsFullAt, 1, now, from);
    if (after === undefined) return this.refuse(session, commands.waitFor(this.commandsFullAt, 1, now));
    const user = session.userId;
    if (
      user !== undefined &&
      settings.limits.userRatePerSecond > 0 &&
      !subjects.commands.take(user, 1, now, from)
    ) {
      return this.refuse(session, spreadWait(subjects.commands.waitFor(user, 1, now), this.deps.entropy));
    }
    const { tenant } = this.allowance;
    if (tenant?.commands !== undefined && !subjects.tenants.take(tenant.id, 1, now, from, tenant.commands)) {
      // No violation: it is what the others of the tenant sent.
      const waitMs = subjects.tenants.waitFor(tenant.id, 1, now, tenant.commands);
      return rateLimited(
        spreadWait(waitMs, this.deps.entropy),
        'The tenant sends more commands than its limit allows',
      );
    }
    // Only now: what the rate of its user refused costs the connection nothing.
    this.commandsFullAt = after;
    return this.refuseInDebt(type, session, now);
  }

  /**
   * Asked when a command comes, and again when its work begins: the answers that it waited for have their price.
   *
   * @returns the refusal of a command whose answer is charged, for a client in debt. No violation: the client asked for what it was
   * allowed, and learns only now what it cost.
   */
  refuseInDebt(
    type: ClientCommandType | undefined,
    session: LimitedSession,
    now = this.deps.clock.monotonic(),
  ): RealtimeError | undefined {
    const waitMs = CHARGED.has(type) ? this.answerWaitMs(session, now) : 0;
    return waitMs === 0 ? undefined : rateLimited(waitMs, 'The answers so far were too many bytes');
  }

  /** Milliseconds that a client has to wait that owes for its answers; 0 for one that does not. */
  answerWaitMs(session: LimitedSession, now = this.deps.clock.monotonic()): number {
    const debtMs = this.debtMs(session, now);
    if (debtMs === 0) return 0;
    const isOwn = debtMs <= this.deps.rates.answers.debtMs(this.answersFullAt, now);
    return isOwn ? debtMs : spreadWait(debtMs, this.deps.entropy);
  }

  /**
   * The transport received more frames than a client may send, whether or not they hold commands. Reading pauses until they
   * are paid; a client that keeps doing it, or whose debt is too large to wait for, is closed.
   *
   * @param waitMs until the frames are paid, in milliseconds; `Infinity` for never.
   */
  onExcess(waitMs: number, session: LimitedSession): void {
    const verdict = this.count(session, 1);
    if (verdict === 'close' || !Number.isFinite(waitMs)) return this.end(session);
    this.throttle(session, waitMs, Number.POSITIVE_INFINITY);
  }

  private throttle(session: LimitedSession, waitMs: number, mostMs = MAX_THROTTLE_MS): void {
    if (session.reading.throttle(Math.min(Math.max(waitMs, 1), mostMs)))
      this.notify({ kind: 'throttle', connection: session.view, banMs: 0 });
  }

  private refuse(session: LimitedSession, waitMs: number, violations = 1): RealtimeError | undefined {
    const verdict = this.count(session, violations);
    if (verdict === 'throttle') this.throttle(session, waitMs);
    if (verdict === 'close') {
      this.end(session);
      return undefined;
    }
    return rateLimited(waitMs);
  }

  private count(session: LimitedSession, violations: number): ReturnType<AbuseMeter['violation']> {
    const { clock, settings, observer } = this.deps;
    observer.onRateLimit?.(session.view);
    this.abuse ??= new AbuseMeter(settings.abuse);
    return this.abuse.violation(clock.monotonic(), violations);
  }

  private end(session: LimitedSession): void {
    const { settings, banForAbuse, journal } = this.deps;
    const { userId, network } = session;
    // As wide as what was proved, no wider: before `welcome` nobody is known to be anybody, and a Unix socket has no address.
    const isKnown = session.isLive && (userId !== undefined || network !== UNKNOWN_ADDRESS);
    const banMs = isKnown ? settings.abuse.banMs : 0;
    const whom =
      userId === undefined ? `the anonymous clients of address ${network}` : `user ${quoted(userId)}`;
    journal.warn(
      'rate_abuse',
      () =>
        `A connection of ${whom} was closed with rate_abuse: it ignored the limits again and again` +
        (banMs > 0 ? `; their other connections end, and new ones are refused for ${banMs} ms` : ''),
      session.view.about,
    );
    this.notify({ kind: 'close', connection: session.view, banMs });
    session.close('rate_abuse', banMs);
    if (banMs <= 0) return;
    const whose =
      userId === undefined
        ? ({ of: 'address', id: network } as const)
        : ({ of: 'user', id: userId } as const);
    banForAbuse({ kind: 'abuse', ...whose, forMs: banMs });
  }

  private takeFreeSubscribe(session: LimitedSession, now: number): boolean {
    if (this.resumable > 0) {
      this.resumable--;
      return true;
    }
    return this.deps.subjects.freeSubscribes.take(session.client, 1, now);
  }

  private debtMs(session: LimitedSession, now: number): number {
    const { rates, subjects } = this.deps;
    const ownMs = rates.answers.debtMs(this.answersFullAt, now);
    // Anonymous clients of one address do not know each other: what the others owe leaves each a share.
    if (session.userId === undefined && rates.answerShare.debtMs(this.shareFullAt, now) === 0) return ownMs;
    return Math.max(ownMs, subjects.answers.debtMs(session.client, now));
  }

  private notify(act: AbuseAct): void {
    this.deps.observer.onAct?.(act, { confirmed: [this.deps.settings.nodeId], missing: [] }, undefined, 0);
  }
}

/** Bytes of text that cost as much to parse. */
function parsingCost(structures: readonly number[]): number {
  let weight = 0;
  for (const structure of structures) weight += structure;
  return Math.floor(weight / PARSED_PER_BYTE);
}

function rateLimited(waitMs: number, message?: string): RealtimeError {
  return new RealtimeError('rate_limited', message, { retryAfterMs: Math.max(1, Math.ceil(waitMs)) });
}
