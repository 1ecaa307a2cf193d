import type { SignalCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { BrokerLog } from '../ports/broker.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';

export interface SignalDeps {
  readonly authorizer: Authorizer;
  readonly log: Pick<BrokerLog, 'signal'>;
}

/** Passes an ephemeral message on: never stored, never sequenced. Only declared events, only by subscribers (G10). */
export class Signal {
  constructor(private readonly deps: SignalDeps) {}

  async run(session: Session, command: SignalCommand): Promise<void> {
    const { authorizer, log } = this.deps;
    const match = authorizer.matchOf(session, command.channel);
    if (!match.definition.behaviour.signals.has(command.event)) {
      throw new RealtimeError('forbidden', 'Clients may not signal this event here');
    }
    const call = session.call(match, command.id, command.event, command.payload);
    await authorizer.authorizeSubscriber(session, match, 'signal', call);
    await log.signal(match.channel, {
      event: command.event,
      ...(command.payload === undefined ? {} : { payload: command.payload }),
      ...(session.user === undefined ? {} : { user: session.user.id }),
    });
    if (!session.isClosed) session.reply(command.id, {});
  }
}
