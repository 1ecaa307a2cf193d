import type { CloseName } from '../../protocol/close-codes.js';
import type { HelloCommand } from '../../protocol/commands.js';
import { PROTOCOL_VERSION } from '../../protocol/envelope.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { commonFeatures } from '../../protocol/features.js';
import type { WelcomePayload } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { bounded } from '../async/with-timeout.js';
import { isPromise, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Opening } from '../ports/transport-host.js';
import type { Authentication } from '../ports/identity.js';
import type { Session } from '../session/session.js';
import { toRealtimeError } from '../session/errors.js';
import { takeOver } from './take-over.js';

/** How a refused `hello` ends: the code says whether to come back. */
const CLOSE_OF: Partial<Record<ErrorCode, CloseName>> = {
  unauthorized: 'unauthorized',
  token_expired: 'token_expired',
  forbidden: 'forbidden',
  banned: 'banned',
  bad_request: 'protocol_error',
  unavailable: 'broker_unavailable',
};

const JUDGED: Opening = {};

/** The first command of a connection (P3): version, credentials, connect guards, ticket; then `welcome`. */
export function hello(session: Session, command: HelloCommand): MaybePromise<void> {
  if (!command.payload.versions.includes(PROTOCOL_VERSION)) return session.close('unsupported_version');
  const refuse = (error: unknown): void => {
    if (session.isClosed) return;
    const known = toRealtimeError(error, session.context, session.id);
    session.fail(command.id, known);
    session.close(CLOSE_OF[known.code] ?? 'internal', known.retryAfterMs ?? 0);
  };
  try {
    const greeted = greet(session, command);
    return isPromise(greeted) ? greeted.catch(refuse) : greeted;
  } catch (error) {
    return refuse(error);
  }
}

function greet(session: Session, command: HelloCommand): MaybePromise<void> {
  const { token } = command.payload;
  return whenReady(authenticate(session, token), (authentication) => {
    if (session.isClosed) return;
    identify(session, authentication, token);
    return whenReady(admit(session), (admitted) => {
      if (admitted === false) throw new RealtimeError('forbidden');
      if (session.isClosed) return;
      return whenReady(takeOver(session, command.payload.session), () => receive(session, command));
    });
  });
}

function identify(session: Session, authentication: Authentication, token: string | undefined): void {
  refuseIfBanned(session, authentication);
  session.user = authentication.user;
  session.view.user = authentication.user;
  session.context.sessions.identify(session);
  session.tokenWatch.follow(authentication, token ?? session.opening.token);
  session.opening = JUDGED;
}

function admit({ context, view }: Session): MaybePromise<boolean | void> {
  const { onConnect, settings, clock } = context;
  return onConnect === undefined ? true : bounded(onConnect(view), settings.handlerTimeoutMs, clock);
}

function receive(session: Session, { id, payload }: HelloCommand): void {
  if (session.isClosed) return;
  const { features } = payload;
  if (features !== undefined) session.features = commonFeatures(features);
  // In the connection lane: commands that waited may be answered there, and nothing precedes `welcome`.
  session.outbox.pushControl({
    type: 'welcome',
    ref: id,
    ts: session.context.clock.now(),
    payload: welcome(session),
  });
  session.goLive();
}

function authenticate(session: Session, token: string | undefined): MaybePromise<Authentication> {
  const { context, opening, connection } = session;
  const known = opening.authentication;
  if (token === undefined) {
    if (known !== undefined) return known;
    if (!context.settings.anonymous) {
      throw new RealtimeError(
        'unauthorized',
        'No credentials: send a token in hello, as subprotocol "bearer.<token>", or a cookie',
      );
    }
  }
  const verified = context.authenticator.authenticate({
    ...(token === undefined ? {} : { token }),
    via: token === undefined ? 'none' : 'hello',
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

function refuseIfBanned(session: Session, { user }: Authentication): void {
  if (user === undefined) return;
  const { bans, clock } = session.context;
  const now = clock.now();
  const ban = bans.find(user.id, now);
  if (ban === undefined) return;
  throw new RealtimeError(
    'banned',
    undefined,
    Number.isFinite(ban.until) ? { retryAfterMs: ban.until - now } : {},
  );
}

function welcome(session: Session): WelcomePayload {
  const { settings, tickets, clock } = session.context;
  const { limits } = settings;
  const { user, lineage, generation } = session;
  const { expiresInMs } = session.tokenWatch;
  return {
    version: PROTOCOL_VERSION,
    session: tickets.sign({ user: user?.id, node: settings.nodeId, lineage, generation }),
    ...(user === undefined ? {} : { user: user.id }),
    features: session.features,
    heartbeat: { intervalMs: settings.heartbeat.intervalMs, timeoutMs: settings.heartbeat.timeoutMs },
    limits: {
      maxMessageBytes: limits.maxMessageBytes,
      maxFrameBytes: limits.maxFrameBytes,
      maxChannels: limits.maxChannels,
      maxEnvelopesPerFrame: limits.maxEnvelopesPerFrame,
      ratePerSecond: limits.ratePerSecond,
      dedupeMs: limits.dedupeMs,
    },
    retry: settings.retry,
    ...(expiresInMs === undefined ? {} : { tokenExpiresInMs: expiresInMs }),
    serverTime: clock.now(),
  };
}
