import type { AuthCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { bounded } from '../async/with-timeout.js';
import type { Session } from '../session/session.js';

/** Refreshes the credential in place (G12). Another user than before is refused, and the old token stands. */
export async function auth(session: Session, command: AuthCommand): Promise<void> {
  try {
    await refresh(session, command);
  } catch (error) {
    session.failControl(command.id, error);
  }
}

async function refresh(session: Session, command: AuthCommand): Promise<void> {
  const { token } = command.payload;
  const { authenticator, settings, clock } = session.context;
  const authentication = await bounded(
    authenticator.authenticate({ token, via: 'auth', handshake: session.connection.handshake }),
    settings.handlerTimeoutMs,
    clock,
  );
  if (session.isClosed) return;
  if (authentication.user?.id !== session.user?.id) {
    throw new RealtimeError('forbidden', 'The token belongs to another user; open a new connection for it');
  }
  session.user = authentication.user;
  session.view.user = authentication.user;
  session.tokenWatch.follow(authentication, token);
  const { expiresInMs } = session.tokenWatch;
  session.replyControl(command.id, expiresInMs === undefined ? {} : { expiresInMs });
}
