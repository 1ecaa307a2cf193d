import type { CloseName } from '../../protocol/close-codes.js';
import type { HelloCommand } from '../../protocol/commands.js';
import { commonFeatures, PROTOCOL_VERSION } from '../../protocol/envelope.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import type { WelcomePayload } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Allowances } from '../access/allowances.js';
import { leftMs } from '../access/access-guard.js';
import type { BanList } from '../access/ban-list.js';
import type { OverloadSwitch } from '../access/overload-switch.js';
import type { Restrictions } from '../access/restrictions.js';
import type { Verifications } from '../access/verifications.js';
import type { TicketSigner } from '../access/ticket.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Connection } from '../ports/connection.js';
import type { EnginePorts } from '../ports/settings.js';
import { spreadWait } from '../ports/entropy.js';
import { MAX_REASON_SHOWN, quoted } from '../ports/log-text.js';
import type { SessionRegistry } from '../session/registry.js';
import { attempt, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Verified } from '../ports/identity.js';
import type { Session } from '../session/session.js';
import type { ApplicationCalls } from './application-calls.js';
import type { TakeOver } from './take-over.js';

/** How a refused connection ends: the code tells the client whether to reconnect. */
const CLOSE_OF: Partial<Record<ErrorCode, CloseName>> = {
  unauthorized: 'unauthorized',
  token_expired: 'token_expired',
  forbidden: 'forbidden',
  muted: 'forbidden',
  validation_failed: 'forbidden',
  banned: 'banned',
  bad_request: 'protocol_error',
  unavailable: 'broker_unavailable',
  rate_limited: 'overloaded',
};

/** The close code with the meaning of an error that refuses a connection. */
export function closeNameOf({
  code,
  reason,
  retryable,
}: Pick<RealtimeError, 'code' | 'reason' | 'retryable'>): CloseName {
  if (reason === 'too_many_connections') return reason;
  // The application's own refusal is final unless it says when to come back.
  if (code === 'refused') return retryable ? 'overloaded' : 'forbidden';
  return CLOSE_OF[code] ?? 'internal';
}

/**
 * What becomes of a connection beside the others of its user: it may stay, it is one too many, or a newer one takes its place. One
 * that stays has ended the oldest of the others, where these have to give way.
 */
export type LimitVerdict = 'admitted' | 'refused' | 'replaced';

/** Bounds the connections of a user (G17). */
export interface ConnectionLimit {
  /** Asked last, when the session has its lineage: what ends others must not be done for one that is refused. */
  admit(session: Session): MaybePromise<LimitVerdict>;
}

/** When a client may try again whose user has as many connections as may be, in milliseconds: they rarely end by themselves. */
const USER_FULL_MS = 10_000;

export interface HelloDeps extends Pick<
  EnginePorts,
  'onConnect' | 'settings' | 'clock' | 'entropy' | 'logger' | 'observer'
> {
  readonly verifications: Pick<Verifications, 'verify'>;
  readonly calls: ApplicationCalls;
  readonly takeOver: TakeOver;
  readonly connections: ConnectionLimit;
  /** What administrators have put on users, sessions and addresses. */
  readonly restrictions: Pick<Restrictions, 'has' | 'find'>;
  /** Users that are refused for abuse. */
  readonly bans: BanList;
  /** Addresses whose anonymous clients are refused for abuse. */
  readonly addressBans: BanList;
  readonly sessions: SessionRegistry;
  readonly journal: ThrottledLog;
  readonly allowances: Allowances;
  readonly overload: Pick<OverloadSwitch, 'advice'>;
  readonly tickets: TicketSigner;
}

/** The first command of a connection (P3): version, credentials, connect guards, ticket; then `welcome`. */
export class Hello {
  constructor(private readonly deps: HelloDeps) {}

  run(session: Session, command: HelloCommand): MaybePromise<void> {
    if (!command.payload.versions.includes(PROTOCOL_VERSION))
      return this.refuse(session, 'unsupported_version');
    return attempt(
      () => this.greet(session, command),
      () => undefined,
      (error) => {
        if (session.isClosed) return;
        const known = session.toClientError(error);
        session.fail(command.id, known);
        this.refuse(session, closeNameOf(known), known.retryAfterMs);
      },
    );
  }

  private refuse(session: Session, reason: CloseName, retryAfterMs?: number): void {
    this.deps.observer.onRefusal?.('hello', reason, session.view.ip);
    session.close(reason, retryAfterMs);
  }

  private greet(session: Session, command: HelloCommand): MaybePromise<void> {
    const { token } = command.payload;
    return whenReady(this.authenticate(session, token), (authentication) => {
      if (session.isClosed) return;
      const user = authentication.user?.id;
      this.refuseIfBanned(user, session, this.lineageIn(command.payload.session, user));
      this.allow(session, authentication.user, command.payload.session);
      session.identify(authentication, token ?? session.opening.token);
      this.deps.sessions.identify(session);
      const { onConnect, calls } = this.deps;
      const verdict =
        onConnect &&
        calls.limit(onConnect(session.view), { connection: session.view }, () => 'The connect hook');
      return whenReady(verdict, (admitted) => {
        if (admitted === false) throw new RealtimeError('forbidden');
        if (session.isClosed) return;
        return whenReady(this.deps.takeOver.run(session, command.payload.session), () =>
          session.isClosed
            ? undefined
            : whenReady(this.deps.connections.admit(session), (place) => this.place(session, command, place)),
        );
      });
    });
  }

  private place(session: Session, command: HelloCommand, verdict: LimitVerdict): void {
    if (session.isClosed || verdict === 'admitted') return this.sendWelcome(session, command);
    if (verdict === 'replaced') return this.refuse(session, 'replaced');
    const { settings, entropy, journal } = this.deps;
    const { maxConnectionsPerUser } = settings.limits;
    journal.warn(
      'user_full',
      () =>
        `User ${quoted(String(session.userId))} has ${maxConnectionsPerUser} connections, as many as limits.maxConnectionsPerUser ` +
        'allows: another was refused',
      session.view.about,
    );
    const retryAfterMs = spreadWait(USER_FULL_MS, entropy);
    const message = `The user has ${maxConnectionsPerUser} connections, as many as may be. Close one of them`;
    session.fail(
      command.id,
      new RealtimeError('rate_limited', message, { retryAfterMs, reason: 'too_many_connections' }),
    );
    this.refuse(session, 'too_many_connections', retryAfterMs);
  }

  /** @throws RealtimeError where the limits of the user are not known, or allow no further connection. */
  private allow(session: Session, user: Verified['user'], text: string | undefined): void {
    if (user === undefined) return;
    const { allowances, sessions, tickets } = this.deps;
    const allowance = allowances.of(user);
    const ticket = text === undefined ? undefined : tickets.read(text);
    // The older connection of the same session gives its place: it may be dead, and not known to be.
    const older = ticket?.user === user.id ? sessions.ofLineage(ticket.lineage) : undefined;
    allowances.admit(allowance, sessions.ofUser(user.id).length, older);
    allowances.change(session.allowance, allowance);
    session.allow(allowance);
  }

  private sendWelcome(session: Session, { id, payload }: HelloCommand): void {
    if (session.isClosed) return;
    // The connect hook may have waited, and the lineage was not known until now.
    this.refuseIfBanned(session.userId, session, session.lineage);
    const { features } = payload;
    if (features !== undefined) session.agreeOn(commonFeatures(features));
    // In the connection lane: commands that waited may be answered there, and nothing precedes `welcome`.
    session.outbox.pushControl({
      type: 'welcome',
      ref: id,
      ts: this.deps.clock.now(),
      payload: this.welcome(session),
    });
    session.answered(id, 'ok');
    session.goLive();
  }

  private authenticate(session: Session, token: string | undefined): MaybePromise<Verified> {
    const { verifications, settings } = this.deps;
    const { opening, connection } = session;
    const known = opening.authentication;
    if (token === undefined) {
      if (known !== undefined) return known;
      if (!settings.anonymous) {
        throw new RealtimeError(
          'unauthorized',
          connection.handshake.transport === 'feed'
            ? 'No credentials: send "Authorization: Bearer <token>", or the cookie of auth.cookie. auth.anonymous admits readers without any'
            : `No credentials: send a token in hello, as ${bearerOf(connection)}, or a cookie from a page that may connect`,
        );
      }
    }
    const verified = verifications.verify({
      ...(token === undefined ? { via: 'none' } : { token, via: 'hello' }),
      handshake: connection.handshake,
    });
    return whenReady(verified, (authentication) => {
      if (known === undefined || known.user?.id === authentication.user?.id) return authentication;
      throw new RealtimeError(
        'forbidden',
        'The token in hello belongs to another user than the one of the upgrade',
      );
    });
  }

  /** The session that a ticket continues; `''` for none. Read only where it matters. */
  private lineageIn(text: string | undefined, user: string | undefined): string {
    const { restrictions, tickets } = this.deps;
    if (text === undefined || !restrictions.has('ban')) return '';
    const ticket = tickets.read(text);
    return ticket !== undefined && ticket.user === user ? ticket.lineage : '';
  }

  private refuseIfBanned(user: string | undefined, { network, view }: Session, lineage: string): void {
    const { restrictions, bans, addressBans, clock, journal } = this.deps;
    const now = clock.monotonic();
    const put = restrictions.find('ban', { userId: user, lineage, network }, undefined, now);
    // Who proves to be somebody is not kept out by the abuse of others at the same address.
    const abuse = user === undefined ? addressBans.find(network, now) : bans.find(user, now);
    const ban = put === undefined || (abuse !== undefined && abuse.until > put.until) ? abuse : put;
    if (ban === undefined) return;
    const whom =
      user === undefined ? `An anonymous client of the address ${network}` : `User ${quoted(user)}`;
    const reason = ban.reason === undefined ? 'no reason given' : quoted(ban.reason, MAX_REASON_SHOWN);
    journal.warn('banned', () => `${whom} came back while banned (${reason})`, view.about);
    throw new RealtimeError('banned', undefined, { retryAfterMs: leftMs(ban, now) });
  }

  private welcome({ userId, lineage, generation, features, tokenWatch, allowance }: Session): WelcomePayload {
    const { settings, tickets, clock, overload } = this.deps;
    const { nodeId, heartbeat, limits, retry } = settings;
    // Also what the ticket says: when it was given.
    // eslint-disable-next-line no-restricted-syntax -- a timestamp that goes out as it is
    const serverTime = clock.now();
    const { maxMessageBytes, maxFrameBytes, maxEnvelopesPerFrame, dedupeMs } = limits;
    const { maxChannels = limits.maxChannels } = allowance;
    const ratePerSecond = allowance.commands?.ratePerSecond ?? limits.ratePerSecond;
    return {
      version: PROTOCOL_VERSION,
      session: tickets.sign({ user: userId, node: nodeId, lineage, generation, issuedAt: serverTime }),
      user: userId,
      features,
      heartbeat,
      limits: { maxMessageBytes, maxFrameBytes, maxChannels, maxEnvelopesPerFrame, ratePerSecond, dedupeMs },
      retry: overload.advice(retry),
      tokenExpiresInMs: tokenWatch.expiresInMs,
      serverTime,
    };
  }
}

/** How a token travels beside the request that opens a connection. */
function bearerOf({ handshake }: Connection): string {
  return handshake.transport === 'websocket'
    ? 'subprotocol "bearer.<token>"'
    : '"Authorization: Bearer <token>"';
}
