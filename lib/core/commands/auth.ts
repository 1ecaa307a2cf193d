import type { AuthCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { withTimeout } from '../async/with-timeout.js';
import type { Clock } from '../ports/clock.js';
import type { Authenticator } from '../ports/identity.js';
import type { Session } from '../session/session.js';

export interface AuthDeps {
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly settings: { readonly handlerTimeoutMs: number };
}

/** Refreshes the credential in place (G12). Another user than before is refused, and the old token stands. */
export class Auth {
  constructor(private readonly deps: AuthDeps) {}

  async run(session: Session, command: AuthCommand): Promise<void> {
    try {
      await this.refresh(session, command);
    } catch (error) {
      session.fail(command.id, error, 'pushControl');
    }
  }

  private async refresh(session: Session, command: AuthCommand): Promise<void> {
    const { token } = command.payload;
    const { authenticator, settings, clock } = this.deps;
    const authentication = await withTimeout(
      authenticator.authenticate({ token, via: 'auth', handshake: session.connection.handshake }),
      settings.handlerTimeoutMs,
      clock,
    );
    if (session.isClosed) return;
    if (authentication.user?.id !== session.user?.id) {
      throw new RealtimeError('forbidden', 'The token belongs to another user; open a new connection for it');
    }
    session.identify(authentication, token);
    const { expiresInMs } = session.tokenWatch;
    session.replyControl(command.id, expiresInMs === undefined ? {} : { expiresInMs });
  }
}
