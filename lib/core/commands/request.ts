import type { RequestCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { withTimeout } from '../async/with-timeout.js';
import type {
  AuthorizationResult,
  ConnectionRequest,
  HandlerCall,
  RequestHandler,
} from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import { toGrant, type Authorizer } from './authorization.js';
import { handlerCall } from './handler-call.js';
import { notSerializable } from './not-serializable.js';

const NO_CHANNEL = { channel: '', params: {} };

export interface RequestDeps {
  readonly authorizer: Authorizer;
  /** Requests without a channel, by event. */
  readonly requests: ReadonlyMap<string, ConnectionRequest>;
  readonly clock: Clock;
  readonly settings: { readonly handlerTimeoutMs: number };
}

/** Runs an RPC; what the handler returns is the answer. A `request` is never sent again by a client (P17). */
export class Request {
  constructor(private readonly deps: RequestDeps) {}

  run(session: Session, command: RequestCommand): MaybePromise<void> {
    return command.channel === undefined
      ? this.withoutChannel(session, command)
      : this.onChannel(session, command, command.channel);
  }

  private onChannel(session: Session, command: RequestCommand, channel: string): MaybePromise<void> {
    const { authorizer } = this.deps;
    const match = authorizer.matchOf(session, channel);
    const call = handlerCall(session, match, command);
    const handler = match.definition.behaviour.requests.get(command.event);
    const allowed = authorizer.authorizeSubscriber(session, match, 'request', call);
    return isPromise(allowed)
      ? allowed.then(() => this.handle(session, handler, call))
      : this.handle(session, handler, call);
  }

  private handle(
    session: Session,
    handler: RequestHandler | undefined,
    call: HandlerCall,
  ): MaybePromise<void> {
    // Asked only after the authorization: who may not ask does not learn what there is to ask.
    if (handler === undefined)
      throw new RealtimeError('bad_request', 'There is no such request on this channel');
    return answer(session, call, this.bound(handler(call)));
  }

  private withoutChannel(session: Session, command: RequestCommand): MaybePromise<void> {
    const request = this.deps.requests.get(command.event);
    if (request === undefined) throw new RealtimeError('bad_request', 'There is no such request');
    const call = handlerCall(session, NO_CHANNEL, command);
    return answer(session, call, this.authorizeAndHandle(request, call));
  }

  private authorizeAndHandle(
    { authorize, handle }: ConnectionRequest,
    call: HandlerCall,
  ): MaybePromise<unknown> {
    if (authorize === 'public') return this.bound(handle(call));
    const admit = (verdict: AuthorizationResult): MaybePromise<unknown> => {
      toGrant(verdict);
      return this.bound(handle(call));
    };
    const allowed = this.bound(authorize(call));
    return isPromise(allowed) ? allowed.then(admit) : admit(allowed);
  }

  private bound<T>(work: MaybePromise<T>): MaybePromise<T> {
    return withTimeout(work, this.deps.settings.handlerTimeoutMs, this.deps.clock);
  }
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
    throw notSerializable(`the handler of the request "${event}"`, error);
  }
}
