import type { RequestCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import { notSerializable } from '../log/event-content.js';
import type { ChannelMatch } from '../channel/registry.js';
import { isPlainValue } from '../log/plain-value.js';
import type { ConnectionRequest, HandlerCall, RequestHandler } from '../ports/channel-definition.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import type { ApplicationCalls } from './application-calls.js';
import { ofChannel, type Authorizer, type StillAllowed } from './authorization.js';
import { handlerCall } from './handler-call.js';

const RAN = 'The request was handled, but at the moment its answer may not be sent';
const NO_CHANNEL = { channel: '', params: {} };

/** Runs an RPC; what the handler returns is the answer. A `request` is never sent again by a client (P17). */
export class Request {
  /** @param requests those without a channel, by event. */
  constructor(
    private readonly authorizer: Authorizer,
    private readonly requests: ReadonlyMap<string, ConnectionRequest>,
    private readonly calls: ApplicationCalls,
  ) {}

  run(session: Session, command: RequestCommand): MaybePromise<void> {
    const { authorizer, requests } = this;
    const { channel, event } = command;
    if (channel === undefined) {
      const request = requests.get(event);
      if (request === undefined)
        throw new RealtimeError('bad_request', `No request "${event}" is declared without a channel`);
      const call = handlerCall(session, NO_CHANNEL, command);
      return whenReady(authorizer.decide(request.authorize, call, '', 'request'), () =>
        this.handle(session, request.handle, call),
      );
    }
    const match = authorizer.resolve(session, channel);
    const call = handlerCall(session, match, command);
    return whenReady(authorizer.authorizeSubscriber(session, match, 'request', call), (stillAllowed) => {
      // Looked up only after the authorization: who may not ask does not learn what there is to ask.
      const handler = match.definition.behaviour.requests.get(event);
      if (handler === undefined)
        throw new RealtimeError('bad_request', `This channel declares no request "${event}"`);
      return this.handle(session, handler, call, { match, stillAllowed });
    });
  }

  /** @param of the channel, where it has one: a revoke that came while the handler ran, or while its answer waits, wins (G11). */
  private handle(
    session: Session,
    handler: RequestHandler,
    call: HandlerCall,
    of?: { readonly match: ChannelMatch; readonly stillAllowed: StillAllowed },
  ): MaybePromise<void> {
    const pattern = of?.match.definition.pattern ?? '';
    const what = (): string => `The handler of the request "${call.event}"${ofChannel(pattern)}`;
    // Nobody may send a request again whose handler still runs (P17).
    return whenReady(
      this.calls.guard(handler, call, what, 'rate_limited', () => handler(call), 'outcome_unknown'),
      (value) => {
        if (session.isClosed) return;
        requireRan(of?.stillAllowed);
        const source = `the handler of the request "${call.event}"`;
        let answer: unknown;
        try {
          // It is written at once, before the application can change it.
          answer = isPlainValue(value) ? value : (toWireValue(value ?? null, 'reply') ?? null);
        } catch (error) {
          throw notSerializable(source, error);
        }
        const flow = of && this.authorizer.answerFlow(of.match);
        session.chargeAnswer(session.reply(call.id, answer, source, flow));
      },
    );
  }
}

/** @throws RealtimeError as {@link StillAllowed}, but nothing that says the request may be sent again: its handler has run (P17c). */
function requireRan(requireStillAllowed: StillAllowed | undefined): void {
  try {
    requireStillAllowed?.('until taken');
  } catch (error) {
    throw error instanceof RealtimeError && error.retryable
      ? new RealtimeError('outcome_unknown', RAN, { cause: error })
      : error;
  }
}
