import type { AuthCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { withTimeout } from '../async/with-timeout.js';
import type { EnginePorts } from '../ports/settings.js';
import type { Session } from '../session/session.js';

/** Replaces the credential of a live session (G12). A token of another user is refused, and the old one stays valid. */
export class Auth {
  constructor(private readonly ports: Pick<EnginePorts, 'authenticator' | 'clock' | 'settings'>) {}

  async run(session: Session, { id, payload: { token } }: AuthCommand): Promise<void> {
    const { authenticator, settings, clock } = this.ports;
    const { handshake } = session.connection;
    try {
      const authentication = await withTimeout(
        authenticator.authenticate({ token, via: 'auth', handshake }),
        settings.handlerTimeoutMs,
        clock,
      );
      if (session.isClosed) return;
      if (authentication.user?.id !== session.user?.id) {
        throw new RealtimeError(
          'forbidden',
          'The token belongs to another user; open a new connection for it',
        );
      }
      session.identify(authentication, token);
      session.replyControl(id, { expiresInMs: session.tokenWatch.expiresInMs });
    } catch (error) {
      session.fail(id, error, 'pushControl');
    }
  }
}
