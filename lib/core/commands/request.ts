import type { RequestCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type {
  AuthorizationResult,
  ConnectionRequest,
  HandlerCall,
  RequestHandler,
} from '../ports/channel-definition.js';
import { bounded } from '../async/with-timeout.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import { authorizeSubscriber, matchOf, toGrant } from './authorization.js';
import { unwritable } from './unwritable.js';

const NO_CHANNEL = { channel: '', params: {} };

/** Runs an RPC; what the handler returns is the answer. A `request` is never sent again by a client (P17). */
export function request(session: Session, command: RequestCommand): MaybePromise<void> {
  return command.channel === undefined
    ? withoutChannel(session, command)
    : onChannel(session, command, command.channel);
}

function onChannel(session: Session, command: RequestCommand, channel: string): MaybePromise<void> {
  const match = matchOf(session, channel);
  const call = session.call(match, command.id, command.event, command.payload);
  const handler = match.definition.behaviour.requests.get(command.event);
  const allowed = authorizeSubscriber(session, match, 'request', call);
  return isPromise(allowed)
    ? allowed.then(() => handle(session, handler, call))
    : handle(session, handler, call);
}

function handle(
  session: Session,
  handler: RequestHandler | undefined,
  call: HandlerCall,
): MaybePromise<void> {
  // Asked only after the authorization: who may not ask does not learn what there is to ask.
  if (handler === undefined)
    throw new RealtimeError('bad_request', 'There is no such request on this channel');
  const { settings, clock } = session.context;
  return answer(session, call, bounded(handler(call), settings.handlerTimeoutMs, clock));
}

function answer(session: Session, call: HandlerCall, result: MaybePromise<unknown>): MaybePromise<void> {
  if (!isPromise(result)) return reply(session, call, result);
  return result.then((value) => {
    if (!session.isClosed) reply(session, call, value);
  });
}

function reply(session: Session, { id, event }: HandlerCall, value: unknown): void {
  try {
    session.reply(id, value ?? null);
  } catch (error) {
    throw unwritable(`the handler of the request "${event}"`, error);
  }
}

function withoutChannel(session: Session, command: RequestCommand): MaybePromise<void> {
  const handler = session.context.requests.get(command.event);
  if (handler === undefined) throw new RealtimeError('bad_request', 'There is no such request');
  const call = session.call(NO_CHANNEL, command.id, command.event, command.payload);
  return answer(session, call, run(session, handler, call));
}

function run(
  session: Session,
  { authorize, handle }: ConnectionRequest,
  call: HandlerCall,
): MaybePromise<unknown> {
  const { settings, clock } = session.context;
  const admit = (verdict: AuthorizationResult): MaybePromise<unknown> => {
    toGrant(verdict);
    return bounded(handle(call), settings.handlerTimeoutMs, clock);
  };
  if (authorize === 'public') return admit(true);
  const allowed = bounded(authorize(call), settings.handlerTimeoutMs, clock);
  return isPromise(allowed) ? allowed.then(admit) : admit(allowed);
}
