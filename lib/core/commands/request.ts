import type { RequestCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { withTimeout } from '../async/with-timeout.js';
import type { ConnectionRequest, HandlerCall, RequestHandler } from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';
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
    const { authorizer, requests } = this.deps;
    const { channel, id, event, payload } = command;
    if (channel === undefined) {
      const request = requests.get(event);
      if (request === undefined) throw new RealtimeError('bad_request', 'There is no such request');
      const call = session.call(NO_CHANNEL, id, event, payload);
      return whenReady(authorizer.decide(request.authorize, call, '', 'request'), () =>
        this.handle(session, request.handle, call),
      );
    }
    const match = authorizer.matchOf(session, channel);
    const call = session.call(match, id, event, payload);
    return whenReady(authorizer.authorizeSubscriber(session, match, 'request', call), () => {
      // Looked up only after the authorization: who may not ask does not learn what there is to ask.
      const handler = match.definition.behaviour.requests.get(event);
      if (handler === undefined)
        throw new RealtimeError('bad_request', 'There is no such request on this channel');
      return this.handle(session, handler, call);
    });
  }

  private handle(session: Session, handler: RequestHandler, call: HandlerCall): MaybePromise<void> {
    const { settings, clock } = this.deps;
    return whenReady(withTimeout(handler(call), settings.handlerTimeoutMs, clock), (value) => {
      if (session.isClosed) return;
      try {
        session.reply(call.id, value ?? null);
      } catch (error) {
        throw notSerializable(`the handler of the request "${call.event}"`, error);
      }
    });
  }
}
