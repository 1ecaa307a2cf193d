import type { CloseName } from '../../protocol/close-codes.js';
import type { HelloCommand } from '../../protocol/commands.js';
import { PROTOCOL_VERSION } from '../../protocol/envelope.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { commonFeatures } from '../../protocol/features.js';
import type { WelcomePayload } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { bounded } from '../ports/bounded.js';
import type { Authentication } from '../session/identity.js';
import type { Session } from '../session/session.js';
import { toRealtimeError } from '../session/session.errors.js';
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

/** The first command of a connection (P3): version, credentials, connect guards, ticket; then `welcome`. */
export async function hello(session: Session, command: HelloCommand): Promise<void> {
  if (!command.payload.versions.includes(PROTOCOL_VERSION)) return session.close('unsupported_version');
  try {
    await greet(session, command);
  } catch (error) {
    if (session.isClosed) return;
    const known = toRealtimeError(error, session.context, session.id);
    session.fail(command.id, known);
    session.close(CLOSE_OF[known.code] ?? 'internal', known.retryAfterMs ?? 0);
  }
}

async function greet(session: Session, command: HelloCommand): Promise<void> {
  const { context } = session;
  const { token } = command.payload;
  const authentication = await authenticate(session, token);
  if (session.isClosed) return;
  refuseIfBanned(session, authentication);
  session.user = authentication.user;
  session.view.user = authentication.user;
  context.sessions.identify(session);
  session.tokenWatch.follow(authentication, token ?? session.opening.token);
  if (context.onConnect !== undefined) {
    const admitted = await bounded(
      context.onConnect(session.view),
      context.settings.handlerTimeoutMs,
      context.clock,
    );
    if (admitted === false) throw new RealtimeError('forbidden');
    if (session.isClosed) return;
  }
  const { features } = command.payload;
  if (features !== undefined) session.features = commonFeatures(features);
  await takeOver(session, command.payload.session);
  if (session.isClosed) return;
  // In the connection lane: commands that waited may be answered there, and nothing precedes `welcome`.
  session.outbox.pushControl({
    type: 'welcome',
    ref: command.id,
    ts: context.clock.now(),
    payload: welcome(session),
  });
  session.goLive();
}

async function authenticate(session: Session, token: string | undefined): Promise<Authentication> {
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
  const authentication = await context.authenticator.authenticate({
    ...(token === undefined ? {} : { token }),
    via: token === undefined ? 'none' : 'hello',
    handshake: connection.handshake,
  });
  if (known !== undefined && known.user?.id !== authentication.user?.id) {
    throw new RealtimeError(
      'forbidden',
      'The token in hello belongs to another user than the one of the upgrade',
    );
  }
  return authentication;
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
