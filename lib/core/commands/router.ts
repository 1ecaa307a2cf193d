import type { ClientCommand, ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import { auth } from './auth.js';
import { history } from './history.js';
import { presence, presenceUpdate } from './presence.js';
import { publish } from './publish.js';
import { request } from './request.js';
import { signal } from './signal.js';
import { subscribe } from './subscribe.js';
import { unsubscribe } from './unsubscribe.js';

const CALLS_APPLICATION: ReadonlySet<ClientCommandType> = new Set([
  'subscribe',
  'publish',
  'signal',
  'request',
  'history',
  'presence',
]);

/** Runs one command of a live session. It answers itself, or throws what becomes the `error` answer (P7). */
export function route(session: Session, command: ClientCommand): MaybePromise<void> {
  if (session.context.draining && CALLS_APPLICATION.has(command.type)) {
    // What the application's handlers need may be closed already; another node takes the command.
    throw new RealtimeError('unavailable', 'This node is going away');
  }
  switch (command.type) {
    case 'publish':
      return publish(session, command);
    case 'request':
      return request(session, command);
    case 'signal':
      return signal(session, command);
    case 'subscribe':
      return subscribe(session, command);
    case 'unsubscribe':
      return unsubscribe(session, command);
    case 'history':
      return history(session, command);
    case 'presence':
      return presence(session, command);
    case 'presence_update':
      return presenceUpdate(session, command);
    case 'auth':
      return auth(session, command);
    case 'ping':
      return session.outbox.pushControl({ type: 'pong', ref: command.id, ts: session.context.clock.now() });
    case 'pong':
      return undefined;
    case 'bye':
      return session.close('normal');
    case 'hello':
      throw new RealtimeError('bad_request', 'This connection has been greeted already');
  }
}
