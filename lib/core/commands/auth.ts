import type { AuthCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Allowances } from '../access/allowances.js';
import type { Verifications } from '../access/verifications.js';
import type { EnginePorts } from '../ports/settings.js';
import type { Session } from '../session/session.js';

/** When a client whose credentials find no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** Credentials of one session that are being verified, or wait for it. */
interface Queue {
  length: number;
  last: Promise<void>;
}

/**
 * Replaces the credential of a live session (G12). A token of another user is refused, and the old one stays valid. One at a
 * time for a session, in the order of the client: the last that it sent is the one that counts.
 */
export class Auth {
  private readonly queues = new WeakMap<Session, Queue>();

  constructor(
    private readonly verifications: Pick<Verifications, 'verify'>,
    private readonly ports: Pick<EnginePorts, 'settings'>,
    private readonly allowances: Pick<Allowances, 'of' | 'admitTo' | 'change'>,
  ) {}

  async run(session: Session, command: AuthCommand): Promise<void> {
    const queue = this.queues.get(session) ?? { length: 0, last: Promise.resolve() };
    if (queue.length >= this.ports.settings.limits.maxInFlight) {
      const error = new RealtimeError('rate_limited', 'Too many tokens wait on this connection', {
        retryAfterMs: RETRY_AFTER_MS,
      });
      return session.fail(command.id, error, 'pushControl');
    }
    this.queues.set(session, queue);
    queue.length++;
    queue.last = (
      queue.length === 1
        ? this.verify(session, command)
        : queue.last.then(() => this.verify(session, command))
    ).finally(() => queue.length--);
    return queue.last;
  }

  /** Never rejects. */
  private async verify(session: Session, { id, payload: { token } }: AuthCommand): Promise<void> {
    if (session.isClosed) return;
    const { handshake } = session.connection;
    try {
      const authentication = await this.verifications.verify({ token, via: 'auth', handshake });
      if (session.isClosed) return;
      if (authentication.user?.id !== session.userId) {
        throw new RealtimeError(
          'forbidden',
          'The token belongs to another user; open a new connection for it',
        );
      }
      // The plan may have changed with the token. Room that it has already is not taken from it.
      const allowance = this.allowances.of(authentication.user);
      this.allowances.admitTo(allowance, session.allowance);
      this.allowances.change(session.allowance, allowance);
      session.allow(allowance);
      session.identify(authentication, token);
      session.replyControl(id, { expiresInMs: session.tokenWatch.expiresInMs });
    } catch (error) {
      session.fail(id, error, 'pushControl');
    }
  }
}
