import type { SignalCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Session } from '../session/session.js';
import { authorizeSubscriber, matchOf } from './authorization.js';

/** Passes an ephemeral message on: never stored, never sequenced. Only declared events, only by subscribers (G10). */
export async function signal(session: Session, command: SignalCommand): Promise<void> {
  const { context } = session;
  const match = matchOf(session, command.channel);
  if (!match.definition.behaviour.signals.has(command.event)) {
    throw new RealtimeError('forbidden', 'Clients may not signal this event here');
  }
  const call = session.call(match, command.id, command.event, command.payload);
  await authorizeSubscriber(session, match, 'signal', call);
  await context.broker.signal(match.channel, {
    event: command.event,
    ...(command.payload === undefined ? {} : { payload: command.payload }),
    ...(session.user === undefined ? {} : { user: session.user.id }),
  });
  if (!session.isClosed) session.reply(command.id, {});
}
